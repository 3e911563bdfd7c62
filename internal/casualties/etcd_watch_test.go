package casualties

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/watch"
)

// A client that asked for progress was told a revision whose events were still to
// come. Here those of one shard have not left its leader, while another shard is
// already further.
func TestEtcd15220(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		late := st.leader(2)
		e := st.others(late)[0].watch(everything, 0)
		st.keep = func(l *letter) bool {
			r := l.raft(2)
			return r != nil && r.Msg.GetType() == raftpb.MsgApp
		}
		o := late.ask(puts("z", "1"))
		st.settle()
		first := st.leader(1).put("a", "1")
		e.ask()
		st.wait(500 * time.Millisecond)
		st.keep = nil
		z := st.await(o).Txn.Revision
		if z > first {
			st.failf("z is to have a lower revision than a: %v, %v", z, first)
		}
		e.hears(first, fmt.Sprintf("%v z=1, %v a=1", z, first))
		st.until("progress", 5*time.Second, func() bool { return len(e.progress) == 1 })
		st.agree()
	}, mutant.CloseInFlight, mutant.DeliverHalf)
}

// keepFew has leaders drop their logs early, so that who was away needs a snapshot.
func keepFew(b *replica.Bounds) { b.LogKeepEntries, b.LogKeepBytes = 2, 64<<10 }

// leaveBehind cuts a node off, and does so much without it that it needs snapshots.
func (st *stage) leaveBehind(h *host, n int) (events []string) {
	st.isolate(h)
	st.until("leaders elsewhere", 10*time.Second, func() bool {
		for _, s := range st.allShards() {
			if l := st.leaderOf(s.ID); l == nil || l == h {
				return false
			}
		}
		return true
	})
	st.wait(2 * time.Second)
	for i := range n {
		v := fmt.Sprint(i)
		rev := st.others(h)[i%2].put("k", v)
		events = append(events, fmt.Sprintf("%v k=%s", rev, v))
	}
	for _, o := range st.others(h) {
		o.flush()
	}
	return events
}

// A member that was cut off for long came back by a snapshot, and told its watches
// again what they had been told. Here a watch lives on such a node.
func TestEtcd15271(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		e := h.watch(everything, 0)
		first := st.host(1).put("k", "x")
		events := []string{fmt.Sprintf("%v k=x", first)}
		e.hears(first, events[0])
		events = append(events, st.leaveBehind(h, 30)...)
		st.grounded = true
		st.join()
		st.awaitFlight()
		st.grounded = false
		last := h.put("k", "y")
		events = append(events, fmt.Sprintf("%v k=y", last))
		e.hears(last, strings.Join(events, ", "))
		st.agree()
	}, mutant.SnapshotLate)
}

// A transaction's cached state had its events told twice. Here transactions with reads,
// deletions and nested ones meet watches on all nodes, and a node that replays its log.
func TestEtcd17247(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		var ears []*ear
		for _, h := range st.hosts {
			ears = append(ears, h.watch(everything, 0))
		}
		last := kv.Revision(0)
		var want []string
		for i := range 5 {
			req := puts("a", fmt.Sprint(i), "z", fmt.Sprint(i))
			req.Txn.Success = append(req.Txn.Success,
				kv.Op{Range: gets("a").Range},
				kv.Op{Txn: puts("b", fmt.Sprint(i), "y", fmt.Sprint(i)).Txn},
				kv.Op{Range: gets().Range})
			last = st.hosts[i%3].write(req)
			for _, key := range []string{"a", "z", "b", "y"} {
				want = append(want, fmt.Sprintf("%v %s=%d", last, key, i))
			}
		}
		for _, e := range ears {
			e.hears(last, strings.Join(want, ", "))
		}
		h := st.host(3)
		h.kill()
		h.start()
		st.until("its replicas", 10*time.Second, func() bool { return h.worker != nil })
		h.watch(everything, 2).hears(last, strings.Join(want, ", "))
		st.agree()
	}, mutant.ApplyTwice)
}

// A watch whose stream was full lost what came meanwhile. Here a receiver takes nothing
// for a while, with room for a few events, and is then told all of it.
func TestEtcd17529(t *testing.T) {
	small := func(b *watch.Bounds) {
		b.QueueBytesMax, b.AllBytesMax, b.FeedBytesMax = 400, 1200, 300
		b.PendingBytesMax, b.RecentBytesMax, b.ChasesMax = 400, 300, 1
	}
	prove(t, setting{splitAt: []string{"m"}, watches: small}, func(st *stage) {
		h := st.host(3)
		slow, quick := h.watch(everything, 0), h.watch(everything, 0)
		slow.deaf = true
		var want []string
		last := kv.Revision(0)
		for i := range 40 {
			key := string("az"[i%2])
			last = st.host(1).put(key, strings.Repeat("x", i))
			want = append(want, fmt.Sprintf("%v %s=%s", last, key, strings.Repeat("x", i)))
		}
		quick.hears(last, strings.Join(want, ", "))
		slow.deaf = false
		slow.take()
		slow.hears(last, strings.Join(want, ", "))
		st.agree()
	}, mutant.ResumeLate)
}

// A watch that was to begin in the future was told what came before, and progress too, if
// its member restored a snapshot meanwhile. Here one waits on such a node.
func TestEtcd20221(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h := st.host(3)
		first := st.host(1).put("k", "x")
		from := first + 32
		e := h.watch(everything, from)
		e.ask()
		st.wait(time.Second)
		events := st.leaveBehind(h, 30)
		e.ask()
		st.join()
		st.until("all nodes to be level", 20*time.Second, st.healthy)
		e.ask()
		st.wait(time.Second)
		if len(e.events) > 0 {
			st.failf("the watch from %v was told %v", from, e)
		}
		for i := range 5 {
			v := fmt.Sprint("y", i)
			events = append(events, fmt.Sprintf("%v k=%s", h.put("k", v), v))
		}
		for fmt.Sprint(from) != strings.Fields(events[0])[0] {
			events = events[1:]
		}
		e.hears(from+kv.Revision(len(events))-1, strings.Join(events, ", "))
		st.agree()
	}, mutant.SnapshotLate)
}
