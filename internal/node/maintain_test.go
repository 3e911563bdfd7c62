package node

import (
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestStanding: all nodes agree on who leads the system shard.
func TestStanding(t *testing.T) {
	c := newClusterOf(t, 3, Cluster{}, Config{Durability: DurabilityMemory})
	for i := range c.nodes {
		c.awaitReady(i)
	}
	c.await("all nodes know who leads", func() error {
		first := c.nodes[0].Standing()
		for i, n := range c.nodes {
			st := n.Standing()
			if st.Leader == 0 || st.Leader != first.Leader || st.Term != first.Term {
				return fmt.Errorf("%v leads in term %d, or %v in term %d", st.Leader, st.Term,
					first.Leader, first.Term)
			}
			if st.Node != kv.NodeID(i+1) || st.Cluster != n.dir.desc.Cluster {
				return fmt.Errorf("node %d stands as %+v", i+1, st)
			}
		}
		return nil
	})
}
