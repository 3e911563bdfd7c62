package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/txn"
	"github.com/miruvor/miruvor/internal/wire"
)

// crossing is a transaction over several shards under way (see package txn).
type crossing struct {
	try   *txn.Try
	tries int
	// next is the shard to prepare next, if they are prepared one by one.
	next int
	// inLine says that a try met the locks of others: from then on it waits.
	inLine bool
	// shown is when shards were shown last that their locks are still wanted.
	shown wire.Instant
	// rev is the revision of the try that is being committed, 0 before that.
	rev kv.Revision
}

// crossTriesMax bounds how often a transaction begins anew.
const crossTriesMax = 100

// cross begins a try of a transaction over several shards.
func (w *Worker) cross(now wire.Instant, c *call) {
	if c.cross == nil {
		c.cross = &crossing{}
		w.calls.crossed++
	} else {
		w.calls.crossedAgain++
	}
	x := c.cross
	x.tries++
	id := wire.TxnID{Node: w.cfg.Node, Seq: w.nextID()}
	x.try = txn.New(id, c.req.Txn, &w.shards, func(shard kv.ShardID) bool {
		return w.leaderOf(shard, 0) == w.cfg.Node
	})
	if x.next = 0; x.inLine {
		x.try.WaitInLine()
	}
	switch {
	case x.try.NeedsRevision():
		w.askRevision(c, 0, func(now wire.Instant, base kv.Revision) {
			w.prepare(now, c, base-1)
		})
	case w.cfg.Mutant == mutant.NumberBeforePrepare:
		w.askRevision(c, 1, func(now wire.Instant, base kv.Revision) {
			x.rev = base
			w.prepare(now, c, 0)
		})
	default:
		w.prepare(now, c, 0)
	}
}

// askRevision takes count revisions for a try of a call.
func (w *Worker) askRevision(
	c *call, count uint32, granted func(now wire.Instant, base kv.Revision),
) {
	try := c.cross.try
	w.demands.client.Add(oracle.Demand{
		Count: count,
		Granted: func(now wire.Instant, base kv.Revision) {
			if !c.done && c.cross.try == try {
				granted(now, base)
			}
		},
		Lost: func(wire.Instant) {
			if !c.done && c.cross.try == try {
				w.askRevision(c, count, granted)
			}
		},
	})
}

// prepare asks all shards of a try at once, or if it waits in line, one after the
// other.
func (w *Worker) prepare(now wire.Instant, c *call, at kv.Revision) {
	x := c.cross
	requests, shards := x.try.Requests(at), x.try.Shards()
	for x.next < len(shards) {
		s := shards[x.next]
		x.next++
		x.shown = now
		w.start(now, c, &leg{shard: s.ID, key: s.Range.Start, req: requests[s.ID]})
		if x.inLine && !x.try.ReadOnly() {
			return
		}
	}
}

// showEvery is the pause between two signs of life.
const showEvery = wire.Instant(400 * time.Millisecond)

// showAlive tells the shards that a try has locks in that it is still wanted,
// while it waits in line elsewhere: they settle what is silent for a second,
// and in a long line nobody would ever be served.
func (w *Worker) showAlive(now wire.Instant, c *call) {
	x := c.cross
	if x == nil || x.try == nil || !x.inLine || x.rev != 0 || now < x.shown+showEvery {
		return
	}
	x.shown = now
	for _, l := range c.legs {
		if p := l.req.Prepare; p != nil && l.done {
			w.errand(now, &replica.Ask{Shard: l.shard, Request: wire.Request{
				Prepare: &wire.Prepare{Txn: p.Txn, Primary: p.Primary},
			}})
		}
	}
}

// crossed takes a shard's answer to its part of a try.
func (w *Worker) crossed(now wire.Instant, l *leg, resp *wire.Response) {
	c, x := l.call, l.call.cross
	if l.req.Decide != nil {
		w.decided(now, c, resp.Outcome)
		return
	}
	all, err := x.try.Take(l.shard, resp)
	switch {
	case err != nil:
		w.failCross(now, c, err)
		return
	case !all:
		w.prepare(now, c, x.try.At())
		return
	}
	var inactive *mvcc.InactiveLease
	switch err := x.try.Evaluate(w.cfg.Bounds.AnswerBytesMax); {
	case errors.As(err, &inactive):
		w.attach(now, c, x.try.ShardOf(inactive.Key), inactive.ID)
	case err != nil:
		w.failCross(now, c, err)
	case x.try.Bytes() > w.cfg.Bounds.EffectBytesMax:
		w.failCross(now, c, fmt.Errorf("%w: it takes %d bytes of log, the most is %d",
			kv.ErrTooLarge, x.try.Bytes(), w.cfg.Bounds.EffectBytesMax))
	default:
		w.conclude(now, c)
	}
}

// attach has a shard told of a lease that a put names, and begins anew. The
// locks go meanwhile: the lease may be on its end, which waits for them.
func (w *Worker) attach(now wire.Instant, c *call, shard kv.ShardID, lease kv.LeaseID) {
	x := c.cross
	w.release(now, x.try)
	x.try = nil
	w.activate(now, shard, lease, c.req.Deadline, func(now wire.Instant, err error) {
		switch {
		case c.done:
		case err == nil && x.tries < crossTriesMax:
			w.drop(now, c)
			w.cross(now, c) // the shard knows the lease now: there is nothing to wait for
		case err == nil || errors.Is(err, kv.ErrLeaseNotFound) && !namesLease(c.req.Txn, lease):
			w.crossAgain(now, c) // a lease to be kept that is gone now, and its key with it
		default:
			w.finish(c, Reply{Err: err})
		}
	})
}

// conclude goes on with a try whose outcome is known but for its revision.
func (w *Worker) conclude(now wire.Instant, c *call) {
	x := c.cross
	switch {
	case x.try.ReadOnly():
		w.finish(c, Reply{Txn: x.try.Response(x.try.At())})
	case !x.try.Writes():
		// What was read is the state at that revision only if the locks were still
		// held when it was taken: the primary has to say so.
		w.askRevision(c, 0, func(now wire.Instant, base kv.Revision) {
			w.commit(now, c, base-1)
		})
	case x.rev != 0: // as a mutant has it
		w.commit(now, c, x.rev)
	default:
		w.askRevision(c, 1, func(now wire.Instant, base kv.Revision) { w.commit(now, c, base) })
	}
}

// commit asks the primary shard for the record that decides. It may be asked
// again and again: it tells the same every time.
func (w *Worker) commit(now wire.Instant, c *call, rev kv.Revision) {
	if now >= c.req.Deadline {
		return // what others may have forgotten by now must not be tried
	}
	x := c.cross
	x.rev = rev
	primary := w.shards.Shard(x.try.Primary())
	w.start(now, c, &leg{
		shard: primary.ID, key: primary.Range.Start,
		req: wire.Request{Decide: x.try.Commit(rev)},
	})
}

// decided takes the primary's word.
func (w *Worker) decided(now wire.Instant, c *call, o *wire.Outcome) {
	x := c.cross
	if o != nil && o.State == wire.OutcomeCommitted {
		w.finish(c, Reply{Txn: x.try.Response(x.rev)})
		return
	}
	x.rev = 0
	w.crossAgain(now, c)
}

// crossFailed takes a refusal of a shard, and reports whether it was one of a
// transaction over shards.
func (w *Worker) crossFailed(now wire.Instant, l *leg, resp *wire.Response) bool {
	c := l.call
	switch {
	case c.cross == nil:
		return false
	case l.req.Decide != nil:
		w.pauseLeg(now, l) // whatever it is, the answer will come
	case resp.Code == wire.CodeConflict && !c.cross.inLine:
		c.cross.inLine = true
		w.routes.learn(l.shard, l.to)
		w.drop(now, c)
		w.cross(now, c)
	case resp.Code == wire.CodeConflict || resp.Code == wire.CodeAborted:
		w.crossAgain(now, c)
	default:
		w.failCross(now, c, resp.Err())
	}
	return true
}

// failCross ends a transaction with an error, if there is one.
func (w *Worker) failCross(now wire.Instant, c *call, err error) {
	switch {
	case err == nil:
	case errors.Is(err, txn.ErrStale):
		w.crossAgain(now, c)
	default:
		w.release(now, c.cross.try)
		w.finish(c, Reply{Err: err})
	}
}

// crossAgain begins anew after a while.
func (w *Worker) crossAgain(now wire.Instant, c *call) {
	x := c.cross
	w.drop(now, c)
	if x.tries >= crossTriesMax {
		w.finish(c, Reply{Err: fmt.Errorf("%w: it began anew %d times", kv.ErrConflict, x.tries)})
		return
	}
	c.againAt = now + min(retryMin<<min(x.tries-1, 4), retryMax)
}

// drop gives a try up.
func (w *Worker) drop(now wire.Instant, c *call) {
	w.release(now, c.cross.try)
	for _, l := range c.legs {
		delete(w.calls.open, l.id)
	}
	c.legs, c.cross.try, c.cross.rev = nil, nil, 0
}

// release tells all shards that a try is given up, whether or not they have
// been prepared. Who does not hear it will ask the primary in the end.
func (w *Worker) release(now wire.Instant, try *txn.Try) {
	if try == nil || try.ReadOnly() {
		return
	}
	for _, s := range try.Shards() {
		w.errand(now, &replica.Ask{
			Shard: s.ID, Request: wire.Request{Resolve: &wire.Resolve{Txn: try.ID}},
		})
	}
}
