package replica

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
)

// closing tracks the closed revision: this replica holds every write at or
// below it, and no other will ever commit there (invariant 5).
//
// What a replica applied of its own transactions closes itself, because their
// revisions in the log only grow; but never past what a transaction over
// several shards may still take that holds locks here. Beyond that the leader
// promises: it takes a T that the oracle told, checks its lease, then looks at
// what is in flight, in this order; a leader that was cut off would else close
// over its successor's writes.
type closing struct {
	upTo kv.Revision
	// promise holds once promiseIndex is applied.
	promise      kv.Revision
	promiseIndex uint64
}

// applied closes what was just applied.
func (c *closing) applied(rev kv.Revision) { c.upTo = max(c.upTo, rev) }

// heard takes a leader's promise: rev is closed where index is applied.
func (c *closing) heard(rev kv.Revision, index uint64) {
	if rev > c.promise {
		c.promise, c.promiseIndex = rev, index
	}
}

// settle makes a promise good once its index is applied.
func (c *closing) settle(index uint64) {
	if c.promise > 0 && index >= c.promiseIndex {
		c.applied(c.promise)
	}
}

// Observe tells a revision that the oracle had handed out before now was read.
// A leader whose lease holds closes what nothing in flight can still take.
func (r *Replica) Observe(now wire.Instant, last kv.Revision) {
	r.locks.observed = max(r.locks.observed, last)
	if r.role.serving && r.HoldsLease(now) {
		r.close(last)
	}
}

// close closes last, which was handed out before this replica was certain to
// lead, as far as nothing in flight can still take it.
func (r *Replica) close(last kv.Revision) { r.closed.applied(r.closable(last)) }

// closable is how far up to last nothing in flight can still take a revision.
func (r *Replica) closable(last kv.Revision) kv.Revision {
	last = min(last, r.lowestLock())
	if r.cfg.Alone {
		last = min(last, r.state.applied.Revision)
	}
	if len(r.queue.inflight) > 0 && r.cfg.Mutant != mutant.CloseInFlight {
		last = min(last, r.queue.inflight[0].rev-1)
	}
	if r.cfg.Mutant != mutant.CloseInFlight {
		for _, it := range r.queue.evaluated {
			if it.writes() {
				last = min(last, r.state.applied.Ordered)
				break
			}
		}
	}
	return last
}

// Closed is the closed revision: this replica holds every write at or below it.
func (r *Replica) Closed() kv.Revision { return r.closed.upTo }
