package replica

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// waiter is a Prepare that waits in line for locks. It holds nothing here.
type waiter struct {
	origin Origin
	since  wire.Instant
	req    *wire.Prepare
}

// awaited reports whether a Prepare has to stand behind one that waits.
func (r *Replica) awaited(p *wire.Prepare) bool {
	for _, w := range r.locks.waiting {
		if w.req.Txn == p.Txn {
			return false // those behind it do not matter
		}
		if conflicting(w.req.Locks, p.Locks) {
			return true
		}
	}
	return false
}

// contend has a Prepare that meets locks wait for them, or turns it away.
func (r *Replica) contend(now wire.Instant, from Origin, p *wire.Prepare, out *Output) {
	if !p.Wait {
		r.fail(from, fmt.Errorf("%w: in shard %v", kv.ErrConflict, r.cfg.Shard), out)
		return
	}
	for _, w := range r.locks.waiting {
		if w.req.Txn == p.Txn { // asked again, it keeps its place
			w.origin, w.since = from, now
			return
		}
	}
	if len(r.locks.waiting) >= r.cfg.Bounds.QueueMax {
		r.fail(from, kv.ErrTooManyRequests, out)
		return
	}
	r.locks.waiting = append(r.locks.waiting, &waiter{from, now, p})
}

// dropWaiter forgets a Prepare that waits, and reports whether there was one.
func (r *Replica) dropWaiter(id wire.TxnID) bool {
	return r.dropWaiters(func(w *waiter) bool { return w.req.Txn == id })
}

// dropWaiters forgets those that wait and match: others may go on now.
func (r *Replica) dropWaiters(match func(*waiter) bool) bool {
	n := len(r.locks.waiting)
	r.locks.waiting = slices.DeleteFunc(r.locks.waiting, match)
	dropped := len(r.locks.waiting) < n
	r.locks.released = r.locks.released || dropped
	return dropped
}

// prepareWaiters lets those try again who wait, in their order.
func (r *Replica) prepareWaiters(now wire.Instant, out *Output) {
	list := r.locks.waiting
	r.locks.waiting = nil
	for _, w := range list {
		r.submitPrepare(now, w.origin, w.req, out)
		if last := len(r.locks.waiting) - 1; last >= 0 && r.locks.waiting[last].req == w.req {
			r.locks.waiting[last].since = w.since
		}
	}
}

// waiterAlive is how long a Prepare waits that is not sent again: its coordinator
// does so every second. Others must not queue behind the dead.
const waiterAlive = wire.Instant(1500 * time.Millisecond)

// expireWaiters gives up those that nobody asks for any more.
func (r *Replica) expireWaiters(now wire.Instant, out *Output) {
	r.dropWaiters(func(w *waiter) bool {
		if now < w.since+waiterAlive {
			return false
		}
		r.fail(w.origin, fmt.Errorf("%w: in shard %v", kv.ErrConflict, r.cfg.Shard), out)
		return true
	})
}
