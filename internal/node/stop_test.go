package node

import (
	"errors"
	"sync"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestStopTwice: a node may be stopped by several at once, and again.
func TestStopTwice(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	n := c.nodes[0]
	var stopping sync.WaitGroup
	for range 3 {
		stopping.Go(func() {
			if err := n.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			put := kv.PutRequest{Key: []byte("k")}
			if _, err := kv.Put(t.Context(), n, put); !errors.Is(err, kv.ErrStopped) {
				t.Errorf("put to a node that is stopped: %v", err)
			}
		})
	}
	stopping.Wait()
}
