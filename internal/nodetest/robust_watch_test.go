package nodetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// watching is a watch and all that it was told.
type watching struct {
	node     int
	from, to string
	// start is the first revision, 0 for what comes after now.
	start  int64
	prevKV bool
	begin  time.Duration
	// at is the last revision of an event told.
	at atomic.Int64

	mu   sync.Mutex
	told []told
}

// told is one response of a watch.
type told struct {
	at                time.Duration
	revision          int64
	created, progress bool
	events            []event
	compacted         int64
	err               error
}

// event is a change of a key.
type event struct {
	pair
	deleted bool
	prev    pair
}

func (w *watching) String() string {
	return fmt.Sprintf("watch of [%q, %q) from %d on node %d at %v", w.from, w.to, w.start, w.node,
		w.begin)
}

func (w *watching) failure() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.told); n > 0 {
		return fmt.Sprint(w.told[n-1].err)
	}
	return "it was told nothing"
}

// newWatch records a watch on a node.
func (r *robust) newWatch(node int, w *watching) *watching {
	w.node, w.begin = node, r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watches = append(r.watches, w)
	return w
}

// follow watches until ctx ends or the watch is canceled, asking for progress
// now and then.
func (r *robust) follow(
	ctx context.Context, client *clientv3.Client, w *watching, rng *rand.Rand,
) {
	opts := []clientv3.OpOption{
		clientv3.WithRev(w.start), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(),
	}
	if w.to != "" {
		opts = append(opts, clientv3.WithRange(w.to))
	}
	if w.prevKV {
		opts = append(opts, clientv3.WithPrevKV())
	}
	watch := client.Watch(ctx, w.from, opts...)
	tick := time.NewTicker(time.Duration(50+rng.IntN(200)) * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case resp, ok := <-watch:
			if !ok {
				return
			}
			w.take(resp, r.now())
			r.saw(resp.Header.Revision)
		case <-tick.C:
			if rng.IntN(2) == 0 {
				ask, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				_ = client.RequestProgress(ask)
				cancel()
			}
		}
	}
}

func (w *watching) take(resp clientv3.WatchResponse, at time.Duration) {
	t := told{
		at:       at,
		revision: resp.Header.Revision, created: resp.Created, progress: resp.IsProgressNotify(),
		compacted: resp.CompactRevision, err: resp.Err(),
	}
	for _, e := range resp.Events {
		got := event{pair: toPair(e.Kv), deleted: e.Type == mvccpb.Event_DELETE}
		if e.PrevKv != nil {
			got.prev = toPair(e.PrevKv)
		}
		t.events = append(t.events, got)
	}
	w.mu.Lock()
	w.told = append(w.told, t)
	w.mu.Unlock()
	if n := len(t.events); n > 0 {
		w.at.Store(t.events[n-1].mod)
	}
}

// watchRandomly has one watch after the other on a node. Some go on where the
// last ended, on whatever node that was.
func (r *robust) watchRandomly(ctx context.Context, node int) {
	rng := r.rand(400 + node)
	next := int64(0)
	for ctx.Err() == nil {
		w := &watching{from: "a", to: "i", prevKV: rng.IntN(2) == 0}
		switch rng.IntN(3) {
		case 0:
			w.from = r.keys[rng.IntN(len(r.keys))]
			w.to = ""
		case 1:
			w.from, w.to = "c", "f"
		}
		switch seen := r.seen.Load(); rng.IntN(4) {
		case 0:
			w.start = next
		case 1, 2:
			w.start = max(0, seen-int64(rng.IntN(100)))
		}
		r.newWatch(node, w)
		client := r.client(node)
		part, cancel := context.WithTimeout(ctx, time.Duration(200+rng.IntN(2500))*time.Millisecond)
		r.follow(part, client, w, rng)
		cancel()
		_ = client.Close()
		if next = w.at.Load(); next != 0 {
			next++
		}
		node = (node + rng.IntN(3)) % len(r.c.processes)
	}
}
