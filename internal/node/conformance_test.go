package node

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
)

// TestConformance holds clusters to what kv.Store promises, asked at a node
// that leads little or nothing of it.
func TestConformance(t *testing.T) {
	splits := kvtest.Splits()
	for _, test := range []struct {
		name    string
		size    int
		cluster Cluster
	}{
		{"one_node", 1, Cluster{}},
		{"three_nodes_many_shards", 3, Cluster{Shards: len(splits) + 1, SplitAt: splits}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.size > 1 {
				t.Skip("takes minutes under the race detector")
			}
			c := newClusterOf(t, test.size, test.cluster, Config{
				Durability: DurabilityMemory, Version: "test", AdvertiseClient: "127.0.0.1:2379",
				lab: steady,
			})
			for i := range c.nodes {
				c.awaitReady(i)
			}
			last := c.nodes[len(c.nodes)-1]
			kvtest.Run(t, func(*testing.T) kv.Store { return last })
		})
	}
}
