package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/miruvor/miruvor/internal/history"
)

// Keeper holds one lease after the other, with keys of its own on it, which it
// looks at until they are gone. It renews seldom and often just before the end, so
// that a lease which lost a part of its time is missed.
type Keeper struct {
	History *history.History
	Target  Target
	// ID is no other client's.
	ID  int
	Rng *rand.Rand

	n int
}

// LeaseMax is the most that anybody asks for.
const LeaseMax = 7 * time.Second

// Run holds leases until ctx ends. The last one may be left behind.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		ttl := int64(2 + k.Rng.IntN(int(LeaseMax/time.Second)-1))
		grant := k.issue(ctx, history.Request{Kind: history.Grant, TTL: ttl})
		if grant.Outcome != history.Answered {
			k.rest(ctx, 300*time.Millisecond)
			continue
		}
		k.furnish(ctx, grant.Lease)
		for range k.Rng.IntN(4) {
			k.rest(ctx, time.Duration(float64(ttl)*(0.2+0.7*k.Rng.Float64())*float64(time.Second)))
			k.issue(ctx, history.Request{Kind: history.KeepAlive, Lease: grant.Lease})
			k.furnish(ctx, grant.Lease)
		}
		if k.Rng.IntN(8) == 0 {
			k.issue(ctx, history.Request{Kind: history.Revoke, Lease: grant.Lease})
		}
		k.watchOver(ctx, grant.Lease, time.Duration(ttl)*time.Second)
	}
}

// furnish puts some keys on a lease.
func (k *Keeper) furnish(ctx context.Context, lease int64) {
	for range 1 + k.Rng.IntN(3) {
		k.n++
		k.issue(ctx, one(history.Action{
			Kind: history.Put, From: k.key(), Lease: lease,
			Value: fmt.Sprintf("%d.%d.%d", k.ID, k.n, k.Rng.IntN(1<<30)),
		}))
	}
}

// key is one that nobody else puts.
func (k *Keeper) key() string {
	return fmt.Sprintf("%c/lease%d", keyFirst+k.Rng.IntN(keyEnd-keyFirst), k.ID)
}

// watchOver reads everything until no key is left of a lease, or its time is up
// and a little more. In the first half of that others may have deleted what was on
// it, and it is furnished again.
func (k *Keeper) watchOver(ctx context.Context, lease int64, ttl time.Duration) {
	begin := k.History.Now()
	for now := begin; now < begin+ttl+ttl/2 && ctx.Err() == nil; now = k.History.Now() {
		k.rest(ctx, ttl/8)
		c := k.issue(ctx, one(history.Action{
			Kind: history.Get, From: string(keyFirst), To: string(keyEnd),
		}))
		switch {
		case c.Outcome != history.Answered || holds(c, lease):
		case now < begin+ttl/2:
			k.furnish(ctx, lease)
		default:
			return
		}
	}
}

// holds reports whether an answer has a key of a lease.
func holds(c *history.Call, lease int64) bool {
	for _, p := range c.Parts[0].Pairs {
		if p.Lease == lease {
			return true
		}
	}
	return false
}

func (k *Keeper) issue(ctx context.Context, req history.Request) *history.Call {
	c := &history.Call{Client: k.ID, Request: req}
	Issue(context.WithoutCancel(ctx), k.History, k.Target, c)
	return c
}

func (k *Keeper) rest(ctx context.Context, d time.Duration) {
	tick := time.NewTicker(max(d, time.Millisecond))
	defer tick.Stop()
	pause(ctx, tick)
}
