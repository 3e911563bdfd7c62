package node

import (
	"errors"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// TestHeldWrites: while the engine is behind, writes wait and reads go on; those that
// wait go on by themselves once it is not.
func TestHeldWrites(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	c.put(0, "a", "1")
	n := c.nodes[0]
	hold := func(held bool) {
		for _, th := range n.threads.get() {
			th.call(func(_ wire.Instant, w *worker.Worker) { w.Hold(held) })
		}
	}
	hold(true)
	put := make(chan error, 1)
	go func() {
		_, err := kv.Put(t.Context(), n, kv.PutRequest{Key: []byte("a"), Value: []byte("2")})
		put <- err
	}()
	c.await("the put to wait", func() error {
		if n.entrances[n.shards.Locate([]byte("a")).ID].writes.Load().Live == 0 {
			return errors.New("it has not begun")
		}
		return nil
	})
	for range 10 {
		if got := c.get(0, "a"); got != "1" {
			t.Errorf("read %q while writes wait", got)
		}
	}
	lease := kv.LeaseGrantRequest{TTL: 60}
	if _, err := n.LeaseGrant(t.Context(), lease); err != nil {
		t.Errorf("grant: %v", err)
	}
	select {
	case err := <-put:
		t.Fatalf("the put did not wait: %v", err)
	default:
	}
	hold(false)
	select {
	case err := <-put:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(4 * time.Second): // less than it takes to give up
		t.Error("the put waits on")
	}
	if got := c.get(0, "a"); got != "2" {
		t.Errorf("read %q afterwards", got)
	}
}
