package casualties

import (
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// A member that died under load applied some entries twice, or not at all, since
// the index up to which it had applied was not in the batch with their data.
// Here one node after the other loses its power, at another step each time, with
// an engine that kept some of its commits and writes under way everywhere.
func TestEtcd13766(t *testing.T) {
	proveAlone(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for n := range 16 {
			victim := st.hosts[n%3]
			if n%5 == 0 {
				victim.flush()
			}
			victim.fuse = 1 + 4*n
			for i := range 12 {
				key := fmt.Sprintf("%c%d", "az"[i%2], i%4)
				if h := st.hosts[i%3]; h.worker != nil {
					h.ask(puts(key, fmt.Sprint(n, i)))
				}
				st.round()
			}
			st.wait(200 * time.Millisecond)
			victim.crash()
			victim.start()
			st.wait(2 * time.Second)
		}
		st.agree()
	}, mutant.LoseApplied, mutant.ApplyTwice)
}

// A member alone answered a write before it was synced. Here a node alone loses
// its power at every step that a write takes.
func TestEtcd14370(t *testing.T) {
	prove(t, setting{nodes: 1}, func(st *stage) {
		h := st.host(1)
		for n := 1; n < 30; n++ {
			o := h.ask(puts("a", fmt.Sprint(n)))
			h.fuse = n
			st.settle()
			h.crash()
			h.start()
			st.until("a leader", 10*time.Second, func() bool { return st.leaderOf(1) == h })
			if got := h.get("a"); o.reply != nil && got != fmt.Sprint(n) {
				st.failf("%d was answered before step %d, and %q is left", n, n, got)
			}
		}
		st.agree()
	}, mutant.AckBeforeSync, mutant.AnswerBeforeCommit)
}

// A member took its revision, at its start, from the keys that it found. If those of
// the last revisions were deleted and compacted, it came back with a lower one. Here
// nothing is left of the last revisions, and the power goes in the midst of that.
func TestEtcd17780(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		for n := range 6 {
			st.host(1).put("a", fmt.Sprint(n))
			st.host(2).put("z", fmt.Sprint(n))
			st.host(1).del("a")
			last := st.host(3).del("z")
			st.host(1).compact(last)
			st.wait(time.Duration(n) * tick) // some sweep, some have not begun
			for i, h := range st.hosts {
				if i%2 == n%2 {
					h.flush()
				}
			}
			for _, h := range st.hosts {
				h.crash()
			}
			for _, h := range st.hosts {
				h.start()
			}
			st.until("leaders", 20*time.Second, func() bool {
				return st.leaderOf(kv.SystemShard) != nil && st.leaderOf(1) != nil &&
					st.leaderOf(2) != nil
			})
			if rev := st.host(2).put("b", "1"); rev <= last {
				st.failf("%v was answered, and then %v", last, rev)
			}
			st.host(3).expect("a", "") // a read is told no less, either
		}
		st.agree()
	}, mutant.ReuseRevision)
}
