package drive

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// fresh is a store that gives no lease the id of one that has gone, as clusters do.
type fresh struct {
	kv.Store
	last atomic.Int64
}

func (f *fresh) LeaseGrant(ctx context.Context, req kv.LeaseGrantRequest) (kv.Lease, error) {
	req.ID = kv.LeaseID(f.last.Add(1))
	return f.Store.LeaseGrant(ctx, req)
}

// judged has clients and watchers at work on a store for some virtual time.
func judged(t *testing.T, store kv.Store, length time.Duration) *history.Verdict {
	t.Helper()
	h, to := history.New(), Store{&fresh{Store: store}}
	rng := func(n int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(n))) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	witnessed, stopWitness := context.WithCancel(t.Context())
	defer stopWitness()
	var load, witness sync.WaitGroup
	w := h.Witness(0)
	witness.Go(func() { to.Follow(witnessed, h, w, rng(100)) })
	for i := range 4 {
		c := &Client{History: h, Target: to, ID: i, Rng: rng(i), Pause: 10 * time.Millisecond}
		load.Go(func() { c.Run(ctx) })
	}
	for i := range 2 {
		k := &Keeper{History: h, Target: to, ID: 10 + i, Rng: rng(10 + i)}
		r := &Hasty{
			History: h, Target: to, ID: 20 + i, Rng: rng(20 + i), Pause: 20 * time.Millisecond,
		}
		load.Go(func() { k.Run(ctx) })
		load.Go(func() { r.Run(ctx) })
	}
	watcher := Watcher{History: h, Targets: []Target{to, to}, Rng: rng(200)}
	load.Go(func() { watcher.Run(ctx) })
	compactor := Compactor{History: h, Target: to, Rng: rng(300), Pause: time.Second}
	load.Go(func() { compactor.Run(ctx) })
	<-time.After(length)
	cancel()
	load.Wait()
	last := Mark("z", "end")
	Issue(t.Context(), h, to, last)
	synctest.Wait()
	if w.At() != last.Revision {
		t.Errorf("the witness was told up to %d of %d", w.At(), last.Revision)
	}
	stopWitness()
	witness.Wait()
	return h.Judge()
}

// TestGoodStore: a store that keeps its promises is found to do so, and there was
// something to find.
func TestGoodStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := judged(t, kvfake.New(), 10*time.Second)
		for _, p := range v.Problems[:min(3, len(v.Problems))] {
			t.Error(p)
		}
		if v.Calls < 3000 || v.Revisions < 1000 || v.Told < 1000 || v.Watches < 4 {
			t.Errorf("%d calls, %d revisions, %d watches told %d times", v.Calls, v.Revisions,
				v.Watches, v.Told)
		}
	})
}

// forgetful is a store that answers a read from the state before the last change
// now and then.
type forgetful struct {
	*kvfake.Store
	n atomic.Int64
}

func (f *forgetful) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	resp, err := f.Store.Range(ctx, req)
	if f.n.Add(1)%100 == 0 && err == nil && req.Revision == 0 && resp.Revision > 1 {
		req.Revision = resp.Revision - 1
		if past, err := f.Store.Range(ctx, req); err == nil {
			past.Revision--
			return past, nil
		}
	}
	return resp, err
}

// liar is a store that says now and then that a write has failed which has not.
type liar struct {
	*kvfake.Store
	n atomic.Int64
}

func (l *liar) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	resp, err := l.Store.Txn(ctx, req)
	if l.n.Add(1)%100 == 0 && err == nil {
		return kv.TxnResponse{}, kv.ErrNoLeader
	}
	return resp, err
}

// miser is a store that renews no lease, and says that it did.
type miser struct{ *kvfake.Store }

func (m miser) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	lease, err := m.Store.LeaseTimeToLive(ctx, id, false)
	lease.TTL = lease.Granted
	return lease, err
}

// TestBadStores: what breaks a promise is found.
func TestBadStores(t *testing.T) {
	for name, c := range map[string]struct {
		store  func() kv.Store
		length time.Duration
	}{
		"forgetful": {func() kv.Store { return &forgetful{Store: kvfake.New()} }, 3 * time.Second},
		"miser":     {func() kv.Store { return miser{kvfake.New()} }, 20 * time.Second},
		"liar":      {func() kv.Store { return &liar{Store: kvfake.New()} }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if v := judged(t, c.store(), c.length); len(v.Problems) == 0 {
					t.Error("nothing is found")
				}
			})
		})
	}
}

// TestSplits: every shard has keys in use.
func TestSplits(t *testing.T) {
	for n := 1; n <= 8; n++ {
		splits := Splits(n)
		if len(splits) != n-1 {
			t.Fatalf("%d shards are split at %q", n, splits)
		}
		used := map[int]bool{}
		for _, key := range Keys() {
			shard := 0
			for shard < len(splits) && key >= splits[shard] {
				shard++
			}
			used[shard] = true
		}
		if len(used) != n {
			t.Errorf("%d shards: keys in %v", n, used)
		}
	}
}
