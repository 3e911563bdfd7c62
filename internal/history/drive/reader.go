package drive

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// readerPatience is how long a read of a Reader may take. It is short: a node that
// was cut off is asked again while it may still believe that it leads.
const readerPatience = 400 * time.Millisecond

// Reader reads the present all the time, so that what one node has answered is
// asked of another at once, and a process that was stopped finds questions waiting
// for it when it wakes.
type Reader struct {
	History *history.History
	Target  Target
	// ID is no other client's.
	ID  int
	Rng *rand.Rand
	// Pause is the mean time between the beginnings of reads, if they take less, and
	// there is no rush.
	Pause time.Duration
}

// Run reads until ctx ends.
func (r *Reader) Run(ctx context.Context) {
	tick := time.NewTicker(r.Pause/2 + time.Duration(r.Rng.Int64N(int64(r.Pause))))
	defer tick.Stop()
	for ctx.Err() == nil {
		r.read(context.WithoutCancel(ctx))
		beat(ctx, r.History, tick)
	}
}

// read reads a key, or all keys at once.
func (r *Reader) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	a := history.Action{Kind: history.Get, From: anyKey(r.Rng)}
	if r.Rng.IntN(3) == 0 {
		a.From, a.To = string(keyFirst), string(keyEnd)
	}
	Issue(ctx, r.History, r.Target, &history.Call{Client: r.ID, Request: one(a)})
}
