package node

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// A node that is alone with its data knows that a write did not happen.
func TestALeaderlessNodeSaysSo(t *testing.T) {
	c := newTestCluster(t, 3, 1, DurabilitySync)
	for i := range 3 {
		c.awaitReady(i)
	}
	for i := range 3 {
		c.stop(i)
	}
	c.configs[0].RequestTimeout = time.Second
	c.start(0)
	for c.nodes[0].threads.get() == nil {
		runtime.Gosched() // they are about to start
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := kv.Put(ctx, c.nodes[0], kv.PutRequest{Key: []byte("k")})
	if !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("put: %v", err)
	}
}
