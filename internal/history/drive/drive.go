// Package drive puts load on a cluster and writes down what came of it.
//
// It owns clients that do one random thing after the other on few keys, so that
// they get in each other's way, hasty ones, keepers of leases, and watches that
// come, stop and resume. What they speak is a Target: etcd's API by clientv3, or
// anything that is a kv.Store.
//
//	Client ── draws a Request ──▶ Target.Send ──▶ history.Call ─┐
//	Watcher ── begins a Watch ──▶ Target.Follow ──▶ Watch.Tell ─┴▶ History
//
// All goroutines are the caller's; every function here returns when its context
// ends.
package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// Patience is how long a call may take.
const Patience = 2 * time.Second

// Target is a way to a cluster. It may be used from any goroutine.
type Target interface {
	// Send makes a call, and fills in what became of it. It wrote nothing if it
	// says so.
	Send(ctx context.Context, c *history.Call)
	// Follow watches until ctx ends or the watch does, and tells w everything. From
	// time to time it asks for progress.
	Follow(ctx context.Context, h *history.History, w *history.Watch, rng *rand.Rand)
}

// Keys are the keys in use: two for each of these letters.
func Keys() []string {
	var keys []string
	for c := keyFirst; c < keyEnd; c++ {
		keys = append(keys, fmt.Sprintf("%c/0", c), fmt.Sprintf("%c/1", c))
	}
	return keys
}

// All keys lie in [keyFirst, keyEnd).
const (
	keyFirst = 'a'
	keyEnd   = 'i'
)

// anyKey is one of Keys.
func anyKey(rng *rand.Rand) string {
	return fmt.Sprintf("%c/%d", keyFirst+rng.IntN(keyEnd-keyFirst), rng.IntN(2))
}

// Splits are the keys that part n shards, each with keys of its own: 1 to 8.
func Splits(n int) []string {
	var splits []string
	for i := 1; i < n; i++ {
		splits = append(splits, string(rune(keyFirst+i*(keyEnd-keyFirst)/n)))
	}
	return splits
}

// Issue makes a call and records it.
func Issue(ctx context.Context, h *history.History, to Target, c *history.Call) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	c.Begin = h.Now()
	to.Send(ctx, c)
	c.End = h.Now()
	h.Record(c)
}

// Mark is a put that no client makes. Values must not be used twice.
func Mark(key, value string) *history.Call {
	return &history.Call{
		Client:  history.Harness,
		Request: one(history.Action{Kind: history.Put, From: key, Value: value}),
	}
}

// Look is a read of all keys in use that no client makes.
func Look() *history.Call {
	return &history.Call{
		Client: history.Harness,
		Request: one(history.Action{
			Kind: history.Get, From: string(keyFirst), To: string(keyEnd),
		}),
	}
}

// Every rushEvery all clients but keepers hurry at once for rushTime, with rushPause
// between calls: what only happens to many requests at the same time has to.
const (
	rushEvery = 3 * time.Second
	rushTime  = 300 * time.Millisecond
	rushPause = time.Millisecond
)

// beat waits for the next tick, or not as long in a rush.
func beat(ctx context.Context, h *history.History, tick *time.Ticker) {
	if h.Now()%rushEvery < rushTime {
		tick = time.NewTicker(rushPause)
		defer tick.Stop()
	}
	pause(ctx, tick)
}

// pause waits for the next tick.
func pause(ctx context.Context, tick *time.Ticker) {
	select {
	case <-tick.C:
	case <-ctx.Done():
	}
}
