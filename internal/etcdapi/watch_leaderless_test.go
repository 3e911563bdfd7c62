package etcdapi_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// lateLeader is a store that has no leader for its first requests.
type lateLeader struct {
	*kvfake.Store
	without atomic.Int64
	err     error
}

func (s *lateLeader) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	if s.without.Add(-1) >= 0 {
		return kv.RangeResponse{}, fmt.Errorf("%w: in a test", s.err)
	}
	return s.Store.Range(ctx, req)
}

// TestWatchOutlivesElections: a client of etcd that did not ask for a leader
// keeps its watch although the node that it watches at has none for a while.
func TestWatchOutlivesElections(t *testing.T) {
	for _, err := range []error{kv.ErrNoLeader, kv.ErrNotReady} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		store := &lateLeader{Store: kvfake.New(), err: err}
		store.without.Store(3)
		client := etcdClient(t, store)
		watch := client.Watch(ctx, "k", clientv3.WithRev(1))
		if _, err := kv.Put(ctx, store, kv.PutRequest{Key: []byte("k")}); err != nil {
			t.Fatal(err)
		}
		resp, ok := <-watch
		if !ok || resp.Err() != nil || len(resp.Events) != 1 {
			t.Errorf("%v: told %v, %v", err, resp.Events, resp.Err())
		}
		if left := store.without.Load(); left >= 0 {
			t.Errorf("%v: %d requests were to fail yet", err, left)
		}
	}
}
