package casualties

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// Raft's lease-based reads are answered as long as a leader believes that it is one, and one
// that is cut off does so for two election timeouts, while others elect after one. Here such a
// leader is asked for all that time.
func TestRaftLeaseReads(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		old := st.leader(1)
		old.put("a", "0")
		st.isolate(old)
		for i := range 60 {
			old.ask(gets("a"))
			old.ask(puts("b", "lost"))
			for _, h := range st.others(old) {
				h.ask(puts("a", fmt.Sprint(i)))
			}
			st.wait(tick)
		}
		st.agree()
	}, mutant.SkipLeaseCheck)
}

// A leader that hands over is followed at once, whatever its voters promised it, so a lease that
// it still counts on is worth nothing (raft#99, etcd#12704). Here one hears nothing of its group
// once it has told the chosen one, and is asked before its lease would be over.
func TestRaft99(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		old := st.leader(2)
		next := st.others(old, st.leader(1))[0]
		old.put("z", "1")
		told := false
		st.lose = func(l *letter) bool {
			r := l.raft(2)
			told = told || r != nil && r.Msg.GetType() == raftpb.MsgTimeoutNow
			return told && r != nil && l.to == old.id
		}
		old.giveTo(next)
		st.until("the other to lead", 5*time.Second, func() bool {
			return next.replica(2).Leading()
		})
		next.put("z", "2")
		o := old.ask(gets("z"))
		st.settle()
		if o.reply != nil && value(o.reply.Range) != "2" {
			st.failf("a read that began after the write tells %q", value(o.reply.Range))
		}
		st.agree()
	}, mutant.RenewAfterTransfer)
}

// A voter that was started again knew of no leader, and voted at once, while the leader's lease
// rested on it. Here one does so with a third node that was cut off from that leader, and stands
// for election.
func TestRaftRestartedVoter(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		old := st.leader(1)
		voter, rival := st.others(old)[0], st.others(old)[1]
		old.put("a", "1")
		st.isolate(old, rival)
		st.wait(3 * time.Second)
		voter.kill()
		st.isolate(old, voter)
		voter.start()
		for range 8 { // for as long as the lease
			for _, s := range st.allShards() {
				rival.replica(s.ID).Campaign()
			}
			st.settle()
			if rival.replica(1).Leading() && rival.replica(kv.SystemShard).Leading() {
				rival.put("a", "2")
			}
			old.ask(gets("a"))
			st.wait(tick)
		}
		st.agree()
	}, mutant.ForgetVote, mutant.PromiseNothing)
}

// A closed timestamp of a former leader went beyond what its successor wrote, and readers of that
// replica missed it (cockroach#114059, #121480). Here a leader is apart from its group alone, hears
// how far the oracle is, and is read and watched.
func TestCockroach114059(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		old := st.leader(2)
		e := old.watch(everything, 0)
		st.apart(2, old)
		st.until("another leader", 10*time.Second, func() bool {
			return st.leaderOf(2) != nil && st.leaderOf(2) != old
		})
		h := st.leader(2)
		one := h.put("z", "1")
		two := h.put("a", "2") // the oracle is further, and its shard tells so
		st.wait(time.Second)
		local := gets("z")
		local.Range.Serializable = true
		if r := st.await(old.ask(local)); r.Err == nil && r.Range.Revision >= one &&
			value(r.Range) != "1" {
			st.failf("%v reads at %v, and does not see %v", old.id, r.Range.Revision, one)
		}
		st.lose = nil
		e.hears(two, fmt.Sprintf("%v z=1, %v a=2", one, two))
		st.agree()
	}, mutant.SkipLeaseCheck)
}

// Readers have to be told of all that is committed, not only of what the leader has applied
// (Raft's thesis, 6.4): its disk may be slower than those of a quorum. Here the others have
// applied a write, and told a watch of it, that the leader has not saved yet.
func TestRaftReadIndex(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		l := st.leader(1)
		h := st.others(l)[0]
		h.put("a", "1")
		e := h.watch(kv.PointRange([]byte("a")), 0)
		l.slow = true
		write := l.ask(puts("a", "2"))
		st.until("the watch to be told", 5*time.Second, func() bool { return len(e.events) > 0 })
		o := l.ask(gets("a")) // held against what was told, when it is answered
		st.wait(200 * time.Millisecond)
		l.slow = false
		if r := st.await(o); r.Err == nil && value(r.Range) != "2" {
			st.failf("a watch was told %v, and a read tells %q", e, value(r.Range))
		}
		st.await(write)
		st.agree()
	}, mutant.TellApplied)
}
