package sim

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/kv"
)

// lookAtStatus looks at what a node says of itself: its shards are those of the layout,
// nothing is applied before it is committed, and only who leads tells how far others are.
func (c *cluster) lookAtStatus(n *node) {
	for _, t := range n.threads {
		for _, st := range t.worker.Status() {
			c.checkStatus(n, &st)
		}
	}
	c.archive.statuses++
}

func (c *cluster) checkStatus(n *node, st *kv.ShardStatus) {
	want := kv.Range{}
	for _, s := range c.allShards() {
		if s.ID == st.ID {
			want = s.Range
		}
	}
	learning := st.Applied == 0 // it waits for its snapshot, and knows nothing
	switch {
	case !learning && (!bytes.Equal(st.Start, want.Start) || !bytes.Equal(st.End, want.End)):
		c.failf("%v: status of %v: range [%q, %q), want %v", n.id, st.ID, st.Start, st.End, want)
	case st.Applied > st.Commit:
		c.failf("%v: status of %v: %d applied, %d committed", n.id, st.ID, st.Applied, st.Commit)
	case len(st.Replicas) > 0 && st.Leader != n.id:
		c.failf("%v: status of %v: it tells of others, but %v leads", n.id, st.ID, st.Leader)
	}
}
