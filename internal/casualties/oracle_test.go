package casualties

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// apart loses what the replicas of a shard say to one that is on a node.
func (st *stage) apart(shard kv.ShardID, h *host) {
	st.lose = func(l *letter) bool {
		return l.raft(shard) != nil && (l.from == h.id || l.to == h.id)
	}
}

// Two leaders of TiKV's placement driver handed out timestamps at one time. Here the old
// leader of the system shard still leads data and is cut off from nothing but its group;
// its clients write over several shards, with revisions of its own oracle, as others do with
// those of the next.
func TestPD1661(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		old := st.leader(kv.SystemShard)
		st.apart(kv.SystemShard, old)
		for i := range 40 {
			for _, h := range st.hosts {
				h.ask(puts("a"+h.id.String(), fmt.Sprint(i), "z"+h.id.String(), fmt.Sprint(i)))
				h.ask(gets())
			}
			st.wait(tick)
		}
		if next := st.leader(kv.SystemShard); next == old {
			st.failf("%v still leads", old.id)
		}
		st.agree()
	}, mutant.SkipLeaseCheck)
}

// A leader of the placement driver that was deposed stored an upper bound over that of its
// successor. Here the oracle needs a higher bound, which has to wait, hands out all below the one
// it has, and is deposed; its bound arrives when the next one is at work.
func TestPD9157(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		old := st.leader(kv.SystemShard)
		st.keep = func(l *letter) bool {
			r := l.raft(kv.SystemShard)
			return r != nil && l.from == old.id && r.Msg.GetType() == raftpb.MsgApp
		}
		var ops []*op
		for i := range 1200 { // a bound is 1,000 ahead
			ops = append(ops, old.ask(puts("a", "1")))
			if i%600 == 599 {
				st.settle()
			}
		}
		if ops[0].reply == nil || ops[len(ops)-1].reply != nil {
			st.failf("of %d writes, the first are to be answered, and none above the bound",
				len(ops))
		}
		st.isolate(old)
		st.until("another leader", 10*time.Second, func() bool {
			l := st.leaderOf(kv.SystemShard)
			return l != nil && l != old && st.leaderOf(1) != old
		})
		for i := range 20 {
			st.leader(kv.SystemShard).put("z", fmt.Sprint(i))
		}
		st.join()
		for i := range 20 {
			st.leader(kv.SystemShard).put("b", fmt.Sprint(i))
		}
		st.agree()
	}, mutant.ReuseRevision)
}

// A leader of the placement driver that was elected again went on from what it had in memory,
// below what another had handed out meanwhile. Here the leadership goes there and back.
func TestPD4884(t *testing.T) {
	proveAlone(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		first := st.leader(kv.SystemShard)
		for range 50 {
			first.put("a", "1")
		}
		st.isolate(first)
		st.until("another leader", 10*time.Second, func() bool {
			l := st.leaderOf(kv.SystemShard)
			return l != nil && l != first && st.leaderOf(1) != first
		})
		next := st.leader(kv.SystemShard)
		for range 50 {
			next.put("z", "2")
		}
		st.join()
		st.until("the first to lead again", 30*time.Second, func() bool {
			return st.leaderOf(kv.SystemShard) == first
		})
		first.put("a", "3")
		for _, h := range st.hosts {
			h.expect("a", "3")
			h.expect("z", "2")
		}
		st.agree()
	}, mutant.ReuseRevision)
}

// A leader of the placement driver resigned half-way, and what it had told was handed out
// again (pd#8836). Where there is one shard with keys, its leader numbers its writes itself.
// Here it has one on the way that nobody else will ever hear of, tells readers how far it is,
// and dies.
func TestPD8836(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		l := st.leader(1)
		l.put("a", "1")
		st.lose = func(x *letter) bool {
			r := x.raft(1)
			return r != nil && x.from == l.id && r.Msg.GetType() == raftpb.MsgApp
		}
		l.ask(puts("b", "lost"))
		st.settle()
		if r := st.await(l.ask(gets("a"))); r.Err != nil {
			st.failf("a read: %w", r.Err)
		}
		l.crash()
		st.lose = nil
		st.until("another leader", 10*time.Second, func() bool { return st.leaderOf(1) != nil })
		h := st.leader(1)
		h.put("c", "1") // it has to be above all that was told
		h.expect("b", "")
		st.agree()
	}, mutant.TellInFlight)
}

// Kine's watches waited for the revision that follows the last one, which never came if there
// was a gap. Here a node takes one for a transaction, and dies before anybody hears of it;
// watches and progress go on behind.
func TestKine82(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		h, dies := st.leader(2), st.host(3)
		all, some := h.watch(everything, 0), h.watch(kv.PointRange([]byte("z")), 0)
		one := h.put("z", "1")
		st.lose = func(l *letter) bool {
			q := l.message.Request
			return l.from == dies.id && q != nil && q.Decide != nil
		}
		dies.ask(puts("a", "lost", "z", "lost"))
		st.settle()
		dies.crash()
		two := h.put("b", "2")
		if two != one+2 {
			st.failf("%v follows %v: that is no gap", two, one)
		}
		three := h.put("z", "3") // once what is left of the transaction is settled
		all.hears(three, fmt.Sprintf("%v z=1, %v b=2, %v z=3", one, two, three))
		some.hears(three, fmt.Sprintf("%v z=1, %v z=3", one, three))
		all.ask()
		st.until("progress", 5*time.Second, func() bool { return len(all.progress) > 0 })
		st.agree()
	})
}

// A progress notification came at revision 0, which Kubernetes takes for a deleted history. Here
// progress is asked for in a cluster in which nothing was written, and on all nodes.
func TestK3s13305(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for _, h := range st.hosts {
			e := h.watch(everything, 0)
			e.ask()
			st.until("progress", 10*time.Second, func() bool { return len(e.progress) > 0 })
			if e.progress[0] < kv.FirstRevision {
				st.failf("%v has got to %v", h.id, e.progress[0])
			}
		}
	})
}

// Xline gave two commands one revision. Here all nodes write to all shards at once, alone and
// together, while leaders die.
func TestXline848(t *testing.T) {
	proveAlone(t, setting{splitAt: []string{"g", "p"}}, func(st *stage) {
		for i := range 45 {
			for _, h := range st.hosts {
				if h.worker == nil {
					continue
				}
				key := string("ahz"[i%3])
				h.ask(puts(key+h.id.String(), fmt.Sprint(i)))
				h.ask(puts("a", fmt.Sprint(h.id, i), "z", fmt.Sprint(h.id, i)))
			}
			st.round()
			switch i % 15 {
			case 8:
				st.hosts[i/15].crash()
				st.wait(time.Second)
			case 12:
				st.hosts[i/15].start()
				st.wait(2 * time.Second)
			}
		}
		st.wait(6 * time.Second)
		st.agree()
	}, mutant.ReuseRevision)
}

// TiDB read at timestamps that the placement driver had not handed out, and what was written
// later could come below. Here revisions of the future are refused everywhere.
func TestTiDB57769(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		last := st.host(1).put("a", "1")
		for _, h := range st.hosts {
			for _, local := range []bool{false, true} {
				for _, key := range []string{"a", "z"} {
					req := gets(key)
					req.Range.Revision, req.Range.Serializable = last+1, local
					r := st.await(h.ask(req))
					if !errors.Is(r.Err, kv.ErrFutureRevision) {
						st.failf("a read at %v on %v: %+v, %v", last+1, h.id, r.Range, r.Err)
					}
				}
			}
			txn := puts("b", "1")
			read := gets("a").Range
			read.Revision = last + 1
			txn.Txn.Success = append(txn.Txn.Success, kv.Op{Range: read})
			r := st.await(h.ask(txn))
			if !errors.Is(r.Err, kv.ErrFutureRevision) {
				st.failf("a transaction that reads at %v: %v", last+1, r.Err)
			}
		}
		if rev := st.host(2).put("z", "1"); rev != last+1 {
			st.failf("%v follows %v", rev, last)
		}
		st.agree()
	})
}
