package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// hastyPatience is how long a call of a Hasty may take.
const hastyPatience = 300 * time.Millisecond

// Hasty reads the present all the time, and puts a key now and then, and soon gives up.
// So what one node has answered is asked of another at once; a node that was cut off
// is asked again and again while it may believe that it leads, whatever else it can't
// reach; and a process that was stopped finds questions waiting when it wakes.
type Hasty struct {
	History *history.History
	Target  Target
	// ID is no other client's.
	ID  int
	Rng *rand.Rand
	// Pause is the mean time between the beginnings of calls, if they take less, and
	// there is no rush.
	Pause time.Duration

	n int
}

// Run makes calls until ctx ends.
func (c *Hasty) Run(ctx context.Context) {
	tick := time.NewTicker(c.Pause/2 + time.Duration(c.Rng.Int64N(int64(c.Pause))))
	defer tick.Stop()
	for ctx.Err() == nil {
		c.call(context.WithoutCancel(ctx))
		beat(ctx, c.History, tick)
	}
}

// call reads a key, or all keys at once, or puts one.
func (c *Hasty) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, hastyPatience)
	defer cancel()
	a := history.Action{Kind: history.Get, From: anyKey(c.Rng)}
	switch c.Rng.IntN(6) {
	case 0:
		a.From, a.To = string(keyFirst), string(keyEnd)
	case 1:
		c.n++
		a.Kind = history.Put
		a.Value = fmt.Sprintf("%d.%d.%d", c.ID, c.n, c.Rng.IntN(1<<30))
	}
	Issue(ctx, c.History, c.Target, &history.Call{Client: c.ID, Request: one(a)})
}
