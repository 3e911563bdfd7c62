package casualties

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// A member that had restored a snapshot knew nothing of the users in it until it was
// started again, and refused what others applied. There are no users here, but alarms,
// leases and the compaction floor decide what may be written as well: a node that has
// all of that from a snapshot leads next, and decides as the others would.
func TestEtcd14571(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		h, full := st.host(3), kv.Alarm{Node: 2, Kind: kv.AlarmNoSpace}
		first := st.host(1).put("k", "0")
		st.isolate(h)
		st.wait(3 * time.Second)
		_, err := st.host(1).lease(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 600})
		st.must(err)
		hung := puts("hung", "1")
		hung.Txn.Success[0].Put.Lease = 7
		st.host(2).write(hung)
		for i := range 10 {
			st.host(1).put("k", fmt.Sprint(i))
			st.host(2).alarms(wire.AlarmRaise, kv.Alarm{Node: 1, Kind: kv.AlarmNoSpace})
			st.host(2).alarms(wire.AlarmClear, kv.Alarm{Node: 1, Kind: kv.AlarmNoSpace})
		}
		st.host(1).alarms(wire.AlarmRaise, full)
		st.host(1).compact(first + 2)
		for _, o := range st.others(h) {
			o.flush()
		}
		st.join()
		st.until("all nodes to be level", 20*time.Second, st.healthy)
		st.prefer(st.leader(kv.SystemShard), h)
		st.isolate(st.host(1)) // it must not lead again
		st.until("the third node to lead", 10*time.Second, func() bool {
			return st.leaderOf(kv.SystemShard) == h && st.leaderOf(1) == h
		})
		if got := h.alarms(wire.AlarmList, kv.Alarm{}); len(got) != 1 || got[0] != full {
			st.failf("the alarms are %v, want %v", got, full)
		}
		r, err := h.lease(wire.Lease{Op: wire.LeaseTimeToLive, ID: 7})
		if err != nil || r.Lease.Granted != 600 {
			st.failf("the lease is %+v, %v", r, err)
		}
		h.expect("k", "9")
		old := gets("k")
		old.Range.Revision = first
		if r := st.await(h.ask(old)); r.Err == nil {
			st.failf("what is compacted can be read")
		}
		st.agree()
	}, mutant.ForgetAlarms)
}

// A member that received a second snapshot while the first was being applied removed the
// first one's file. Here the disk is slow when the next ones come, of the same leader and
// of another, and the power goes at every step of what follows.
func TestEtcd18055(t *testing.T) {
	prove(t, setting{bounds: keepFew}, func(st *stage) {
		for n := range 8 {
			h := st.host(3)
			st.leaveBehind(h, 12)
			h.slow = true
			st.join()
			st.until("a snapshot", 10*time.Second, func() bool { return len(h.saves) > 0 })
			for range 3 {
				for i := range 6 {
					st.others(h)[0].put("k", fmt.Sprint(n, i))
				}
				for _, o := range st.others(h) {
					o.flush()
				}
				st.wait(200 * time.Millisecond)
			}
			if l := st.leader(1); n%2 == 0 {
				st.prefer(l, st.others(h, l)[0])
			}
			h.slow = false
			h.fuse = n
			st.wait(time.Second)
			h.crash()
			h.start()
			st.until("all nodes to be level", 20*time.Second, st.healthy)
		}
		st.agree()
	}, mutant.SnapshotLate)
}

// A leader that was stopped, while another was elected and wrote, took the answers to an
// old question for those to a new one, and told what it had. Here it goes on with a read
// that began after the write, and with the old answers first.
func TestEtcd20418(t *testing.T) {
	for _, mode := range []replica.ReadMode{replica.ReadLease, replica.ReadQuorum} {
		name, bugs := "lease", []mutant.Mutant{mutant.SkipLeaseCheck}
		if mode == replica.ReadQuorum {
			name = "quorum"
		}
		t.Run(name, func(t *testing.T) {
			prove(t, setting{mode: mode}, func(st *stage) { pausedLeader(st) }, bugs...)
		})
	}
}

func pausedLeader(st *stage) {
	h := st.leader(1)
	h.put("a", "1")
	// Two questions to the others are under way, of the shard and of the oracle.
	ack := func(shard kv.ShardID) func(l *letter) bool {
		return func(l *letter) bool {
			r := l.raft(shard)
			return r != nil && l.to == h.id && r.Msg.GetType() == raftpb.MsgHeartbeatResp
		}
	}
	st.keep = ack(1)
	h.ask(gets("a"))
	st.settle()
	st.keep = func(l *letter) bool { return ack(1)(l) || ack(kv.SystemShard)(l) }
	h.ask(gets("a"))
	st.settle()
	h.pause()
	st.until("another leader", 10*time.Second, func() bool {
		return st.leaderOf(1) != nil && st.leaderOf(kv.SystemShard) != nil
	})
	next := st.leader(1)
	next.put("a", "2")
	news := st.letters
	h.resume()
	o := h.ask(gets("a"))
	h.pass()
	for len(st.letters) > 0 { // the old answers, one by one
		l := st.letters[0]
		st.letters = st.letters[1:]
		if ack(1)(&l) || ack(kv.SystemShard)(&l) || l.from == h.id && l.to == h.id {
			st.host(l.to).receive(l.from, l.message)
			h.pass()
		}
	}
	if o.reply != nil && o.reply.Err == nil && value(o.reply.Range) != "2" {
		st.failf("a read that began after the write tells %q", value(o.reply.Range))
	}
	st.letters = append(st.letters, news...)
	st.keep = nil
	h.expect("a", "2")
	st.agree()
}
