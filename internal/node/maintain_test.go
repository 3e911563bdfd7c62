package node

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
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

// TestMaintainer holds a node alone to what kv.Maintainer promises.
func TestMaintainer(t *testing.T) {
	c := newClusterOf(t, 1, Cluster{Shards: 2, SplitAt: [][]byte{[]byte("kvtest/s")}},
		Config{Durability: DurabilityMemory})
	c.awaitReady(0)
	kvtest.RunMaintainer(t, c.nodes[0])
}

// TestMoveLeader: everything that a node leads goes where the other can take it,
// and stays there.
func TestMoveLeader(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 4, Cluster{Shards: 3, SplitAt: [][]byte{{'g'}, {'p'}}},
		Config{Durability: DurabilityMemory, lab: steady})
	c.awaitAll()
	c.await("the first node to lead", func() error { return c.led(1, kv.SystemShard) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for what, test := range map[string]struct {
		at   int
		to   kv.NodeID
		want error
	}{
		"from a follower":          {1, 1, kv.ErrNotLeader},
		"from who has no replica":  {3, 1, kv.ErrNotLeader},
		"to a stranger":            {0, 9, kv.ErrBadTransferee},
		"to one without a replica": {0, 4, kv.ErrBadTransferee},
		"to itself":                {0, 1, nil},
	} {
		if err := c.nodes[test.at].MoveLeader(ctx, test.to); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	before := c.put(3, "a", "v")
	if err := c.nodes[0].MoveLeader(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if err := c.led(3, kv.SystemShard); err != nil {
		t.Error(err)
	}
	if after := c.put(3, "b", "v"); after != before+1 {
		t.Errorf("a revision is skipped: %v follows %v", after, before)
	}
	c.await("all that the first node led to be led by the third", func() error {
		for _, s := range c.nodes[0].held(1) {
			if err := c.led(3, s.ID); err != nil && c.led(1, s.ID) == nil {
				return err
			}
		}
		return nil
	})
	if err := c.nodes[2].MoveLeader(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := c.led(2, kv.SystemShard); err != nil {
		t.Error(err)
	}
}

// led tells if a node does not lead a shard, as that node has it.
func (c *testCluster) led(node kv.NodeID, shard kv.ShardID) error {
	for _, s := range c.status(int(node - 1)).Shards {
		if s.ID == shard && s.Leader == node {
			return nil
		}
	}
	return fmt.Errorf("node %d does not lead %v", uint64(node), shard)
}
