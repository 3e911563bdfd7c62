package casualties

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/worker"
)

// fill writes so much that engines have several files, and a snapshot some, and deletes a
// third of it.
func (st *stage) fill(h *host, n int) kv.Revision {
	var pairs []string
	for i := range 60 {
		v := strings.Repeat(fmt.Sprint(i%10), 8<<10) + fmt.Sprint(n)
		pairs = append(pairs, fmt.Sprintf("f%02d", i), v)
	}
	for range 2 {
		h.write(puts(pairs...))
	}
	third := kv.Range{Start: []byte("f"), End: []byte("f20")}
	return h.write(worker.Request{Txn: &kv.TxnRequest{Success: []kv.Op{
		{Delete: &kv.DeleteRequest{Range: third}},
	}}})
}

// engineRounds is how often a scene on Pebble is repeated: once where all is slow.
func engineRounds(n int) int {
	if raced || testing.Short() {
		return 1
	}
	return n
}

// A member that died while it defragmented came back with data that its index of what was
// applied did not fit to. There is nothing to call here: space is given back all the time. So
// power is lost while that is under way, on the engine of a real node, with writes,
// compactions and flushes beside it.
func TestEtcd14685(t *testing.T) {
	prove(t, setting{nodes: 1, pebble: true}, func(st *stage) {
		h := st.host(1)
		for n := range engineRounds(4) {
			last := st.fill(h, n)
			h.compact(last)
			if n%2 == 0 {
				h.flush()
			}
			st.wait(time.Duration(n) * 20 * time.Millisecond)
			for i := range 5 {
				h.ask(puts("a", fmt.Sprint(n, i)))
				st.round()
			}
			h.crash()
			h.start()
			st.until("a leader", 10*time.Second, func() bool { return st.leaderOf(1) == h })
			if got := h.get("f45"); !strings.HasSuffix(got, fmt.Sprint(n)) {
				st.failf("f45 ends with %.20q", got)
			}
			h.expect("f15", "")
			st.must(h.engine.Check())
		}
		st.agree()
	}, mutant.ApplyTwice)
}

// A member that applied a snapshot while it was being defragmented mixed the pages of two
// databases. Here nodes restore large snapshots while space is given back, files are merged, and
// the past is read; then they are started again.
func TestEtcd20271(t *testing.T) {
	prove(t, setting{bounds: keepFew, pebble: true}, func(st *stage) {
		h := st.host(3)
		for n := range engineRounds(2) {
			before := st.fill(st.host(1), n)
			h.compact(before)
			all := st.all(h)
			view := h.engine.NewSnapshot() // as a stream, or a backup, has it
			old := h.pairsOf(view, st.shards.Shards[0])
			st.leaveBehind(h, 5)
			last := st.fill(st.others(h)[0], n+10)
			st.others(h)[0].compact(last)
			st.others(h)[0].flush()
			st.others(h)[1].flush()
			st.join()
			st.until("all nodes to be level", 30*time.Second, st.healthy)
			if now := h.pairsOf(view, st.shards.Shards[0]); !equal(now, old) {
				st.failf("what was frozen before the snapshot has changed")
			}
			st.must(view.Close())
			if after := st.all(h); after == all {
				st.failf("nothing has changed on %v", h.id)
			}
			st.must(h.engine.Check())
			h.crash()
			h.start()
			st.until("all nodes to be level", 30*time.Second, st.healthy)
		}
		st.agree()
	})
}

// all is what a serializable read of everything tells.
func (st *stage) all(h *host) string {
	req := gets()
	req.Range.Serializable = true
	r := st.await(h.ask(req))
	if r.Err != nil {
		st.failf("a local read on %v: %w", h.id, r.Err)
	}
	var text strings.Builder
	for _, p := range r.Range.KVs {
		fmt.Fprintf(&text, "%s=%s ", p.Key, p.Value)
	}
	return text.String()
}
