package drive

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// Watcher has one watch after the other, on one node and then on another. Some go
// on where the last one ended.
type Watcher struct {
	History *history.History
	// Targets each lead to one node.
	Targets []Target
	// Node is the index of the first target to use.
	Node int
	Rng  *rand.Rand
	// FromNow lets watches begin at what comes next; only etcd's API says where
	// that is.
	FromNow bool
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	keys := Keys()
	node, next := w.Node, int64(0)
	for ctx.Err() == nil {
		watch := &history.Watch{
			Node: node, From: string(keyFirst), To: string(keyEnd), PrevKV: w.Rng.IntN(2) == 0,
		}
		switch w.Rng.IntN(3) {
		case 0:
			watch.From, watch.To = keys[w.Rng.IntN(len(keys))], ""
		case 1:
			watch.From, watch.To = "c", "f"
		}
		watch.Start = w.start(next)
		w.History.Watching(watch)
		time := time.Duration(200+w.Rng.IntN(2500)) * time.Millisecond
		part, cancel := context.WithTimeout(ctx, time)
		w.Targets[node].Follow(part, w.History, watch, w.Rng)
		<-part.Done() // a watch may end early, of a compacted revision
		cancel()
		if next = watch.At(); next != 0 {
			next++
		}
		node = (node + w.Rng.IntN(3)) % len(w.Targets)
	}
}

// start draws where a watch begins; next is behind what the last one was told.
func (w *Watcher) start(next int64) int64 {
	seen, start := w.History.Seen(), int64(0)
	switch w.Rng.IntN(4) {
	case 0:
		start = next
	case 1, 2:
		start = max(0, seen-int64(w.Rng.IntN(100)))
	}
	if start == 0 && !w.FromNow {
		start = seen + 1
	}
	return start
}

// Compactor forgets the past now and then, but nothing that a witness needs.
type Compactor struct {
	History *history.History
	Target  Target
	Rng     *rand.Rand
	Pause   time.Duration
}

// Run compacts until ctx ends.
func (c *Compactor) Run(ctx context.Context) {
	tick := time.NewTicker(c.Pause)
	defer tick.Stop()
	for ctx.Err() == nil {
		pause(ctx, tick)
		at := c.History.Seen()
		for _, w := range c.History.Witnesses() {
			at = min(at, w.At())
		}
		if c.Rng.IntN(3) > 0 { // else as far as it goes
			at -= int64(c.Rng.IntN(200))
		}
		if at <= 1 {
			continue
		}
		Issue(ctx, c.History, c.Target, &history.Call{
			Request: history.Request{Kind: history.Compact, At: at},
		})
	}
}
