package casualties

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// A replica was made by whatever message came for it, before it had anything, and stood in the
// way of the real one, or voted (cockroach#7600, #40213, and others until 2025). Here a node
// that lost its directory hears all that its earlier replicas would have, and has none until a
// snapshot comes.
func TestCockroach7600(t *testing.T) {
	prove(t, setting{bounds: keepFew, splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		st.host(1).put("a", "1")
		st.host(1).put("z", "1")
		var stray []letter
		st.keep = func(l *letter) bool { return l.to == h.id && l.message.Raft != nil }
		st.host(1).put("a", "2")
		st.host(2).put("z", "2")
		st.wait(2 * time.Second) // they stand for election, too
		stray, st.letters, st.keep = st.letters, nil, nil
		st.grounded = true
		h.wipe()
		h.start()
		st.until("it to be a replacement", 10*time.Second, func() bool { return h.worker != nil })
		st.letters = append(st.letters, stray...)
		st.wait(5 * time.Second)
		for _, s := range st.allShards() {
			if h.replica(s.ID) != nil || len(h.pairs(s)) > 0 {
				st.failf("%v has a replica of %v, and no snapshot has come", h.id, s.ID)
			}
		}
		if len(st.flights) == 0 {
			st.failf("no snapshot is on its way")
		}
		st.agree()
	}, mutant.RejoinAsVoter)
}

// A voter that lost its log and came back under its name helped to elect a leader without what it
// had acknowledged. Here it is one of the two that have a write, and what the other says in their
// group is lost.
func TestRaftLostVoter(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		l := st.leader(1)
		forgets, never := st.others(l)[0], st.others(l)[1]
		st.isolate(never)
		st.wait(time.Second)
		l.put("a", "1")
		forgets.wipe()
		clear(st.cut)
		st.lose = func(x *letter) bool {
			return x.message.Raft != nil && (x.from == l.id || x.to == l.id)
		}
		forgets.start()
		st.wait(10 * time.Second)
		for _, h := range []*host{forgets, never} {
			if h.worker != nil {
				h.ask(gets("a"))
			}
		}
		st.wait(6 * time.Second)
		st.join()
		st.until("all nodes to be level", 60*time.Second, st.healthy)
		st.hosts[0].expect("a", "1")
		st.agree()
	}, mutant.RejoinAsVoter)
}

// A change of members that raft refused went through the log as an empty entry, and its
// proposer waited for ever (raft#80). Here a leader's proposals get lost with it while it
// replaces a directory, at one step after the other; who leads next must find out what is left
// to do.
func TestRaft80(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		h := st.host(3)
		for n := range 6 {
			st.host(1).put("a", fmt.Sprint(n))
			h.wipe()
			h.start()
			st.wait(time.Duration(n) * 400 * time.Millisecond)
			l := st.leader(kv.SystemShard)
			st.lose = func(x *letter) bool {
				r := x.message.Raft
				return r != nil && x.from == l.id && r.Msg.GetType() == raftpb.MsgApp
			}
			l.slow = true
			st.wait(3 * time.Second)
			l.crash()
			st.lose = nil
			st.wait(time.Second)
			l.start()
			st.until("all nodes to be level", 60*time.Second, st.healthy)
		}
		st.agree()
	})
}

// What took the place of a lost replica meets the lost one (cockroach#21146). Here a directory
// comes back after another one was taken in for the node: its process has to stop, and votes
// no more.
func TestCockroach21146(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		h := st.host(3)
		st.host(1).put("a", "1")
		h.flush()
		h.kill()
		fs, engine, directory := h.fs, h.engine, h.directory
		h.wipe()
		h.start()
		st.until("all nodes to be level", 60*time.Second, st.healthy)
		newEngine, newDirectory := h.engine, h.directory
		h.kill()
		newFS := h.fs
		st.host(1).put("a", "2")
		h.fs, h.engine, h.directory = fs, engine, directory
		h.start()
		for range 40 {
			if h.worker != nil {
				for _, s := range st.allShards() {
					h.replica(s.ID).Campaign()
				}
			}
			st.wait(tick)
		}
		if h.member != nil {
			st.failf("the old directory's process still runs")
		}
		h.fs, h.engine, h.directory = newFS, newEngine, newDirectory
		st.agree()
	}, mutant.RejoinAsVoter)
}
