package casualties

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// A compaction at the revision of a deletion removed the tombstone, and a watch from
// that revision, which is allowed, never heard of it.
func TestEtcd18089(t *testing.T) {
	prove(t, setting{}, func(st *stage) {
		st.host(1).put("a", "1")
		rev := st.host(1).del("a")
		last := st.host(1).put("b", "1")
		st.host(1).compact(rev)
		st.wait(2 * time.Second) // all have swept
		for _, h := range st.hosts {
			h.watch(everything, rev).hears(last, fmt.Sprintf("%v -a, %v b=1", rev, last))
			e := h.listen(everything, rev-1)
			st.until("the end of a watch below the floor", 10*time.Second, func() bool {
				return e.compacted != 0 || e.err != nil
			})
		}
		st.agree()
	}, mutant.SweepReadable)
}

// The same, if the watch began while the compaction was at work. Here watches from the
// floor begin at every step of it, on all nodes, slow ones too, and the revision has
// deletions in two shards.
func TestEtcd19179(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		var all []string
		for i := range 20 {
			key := fmt.Sprintf("%c%02d", "az"[i%2], i)
			all = append(all, key, "1")
			for range 3 {
				st.hosts[i%3].put(key, "0")
			}
		}
		st.host(1).write(puts(all...))
		wipe := puts()
		var want []string
		for i := 0; i < len(all); i += 2 {
			wipe.Txn.Success = append(wipe.Txn.Success, deletes(all[i]).Txn.Success...)
			want = append(want, "-"+all[i])
		}
		rev := st.host(1).write(wipe)
		last := st.host(2).put("a", "2")
		st.host(3).put("y", "2")
		for i := range want {
			want[i] = fmt.Sprintf("%v %s", rev, want[i])
		}
		o := st.host(1).ask(compacts(rev))
		var ears []*ear
		for i := range 40 {
			st.round()
			ears = append(ears, st.hosts[i%3].listen(everything, rev))
			if i%4 == 0 {
				ears[i].deaf = true
			}
			if i > 20 {
				st.wait(tick)
			}
		}
		if r := st.await(o); r.Err != nil {
			st.failf("the compaction: %w", r.Err)
		}
		for _, e := range ears {
			e.deaf = false
			e.take()
			e.hears(last+1, strings.Join(want, ", ")+fmt.Sprintf(", %v a=2, %v y=2", last, last+1))
		}
		st.agree()
	}, mutant.SweepReadable)
}

// A transaction that wrote, and read at a revision that some members had compacted and
// others not, did so on the latter alone. Here one node knows nothing of the compaction.
func TestEtcd18667(t *testing.T) {
	prove(t, setting{splitAt: []string{"m"}}, func(st *stage) {
		st.host(1).put("a", "1")
		rev := st.host(1).put("a", "2")
		st.isolate(st.host(3))
		st.until("leaders without the third node", 10*time.Second, func() bool {
			for _, s := range st.allShards() {
				if l := st.leaderOf(s.ID); l == nil || l.id == 3 {
					return false
				}
			}
			return true
		})
		st.host(1).compact(rev)
		read := gets("a").Range
		read.Revision = rev - 1
		for _, key := range []string{"b", "z"} { // beside what is read, and in another shard
			req := puts(key, "1")
			req.Txn.Success = append(req.Txn.Success, kv.Op{Range: read})
			if r := st.await(st.host(1).ask(req)); !errors.Is(r.Err, kv.ErrCompacted) {
				st.failf("the transaction ends with %v, %+v", r.Err, r.Txn)
			}
		}
		st.join()
		st.until("all nodes to be level", 20*time.Second, st.healthy)
		for _, h := range st.hosts {
			h.expect("b", "")
			h.expect("z", "")
		}
		st.agree()
	})
}
