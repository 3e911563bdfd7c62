package replica

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// waiter is a Prepare that waits for the locks of a younger transaction. It
// holds nothing here.
type waiter struct {
	origin Origin
	since  wire.Instant
	req    *wire.Prepare
}

// older reports whether a transaction may wait for another. Ages and ids are
// the same in all shards, so no circle of waiting can close.
func older(age kv.Revision, id wire.TxnID, than *held) bool {
	return cmp.Or(
		cmp.Compare(age, than.age), cmp.Compare(id.Node, than.txn.Node),
		cmp.Compare(id.Seq, than.txn.Seq),
	) < 0
}

// contend has a Prepare that meets locks wait for them, if all are of younger
// transactions; else its transaction has to begin anew. How old the transactions
// are that an earlier leader prepared is not known: nobody waits for those.
func (r *Replica) contend(now wire.Instant, from Origin, p *wire.Prepare, out *Output) {
	for _, h := range r.locks.order {
		if h.conflicts(p.Locks) && (h.age == 0 || !older(p.Age, p.Txn, h)) {
			r.fail(from, fmt.Errorf("%w: in shard %v", kv.ErrConflict, r.cfg.Shard), out)
			return
		}
	}
	r.dropWaiter(p.Txn)
	if len(r.locks.waiting) >= r.cfg.Bounds.QueueMax {
		r.fail(from, kv.ErrTooManyRequests, out)
		return
	}
	r.locks.waiting = append(r.locks.waiting, &waiter{from, now, p})
}

// dropWaiter forgets a Prepare that waits.
func (r *Replica) dropWaiter(id wire.TxnID) {
	r.locks.waiting = slices.DeleteFunc(r.locks.waiting, func(w *waiter) bool {
		return w.req.Txn == id
	})
}

// prepareWaiters lets those try again who waited, the oldest first.
func (r *Replica) prepareWaiters(now wire.Instant, out *Output) {
	list := r.locks.waiting
	r.locks.waiting = nil
	slices.SortStableFunc(list, func(a, b *waiter) int {
		return cmp.Or(
			cmp.Compare(a.req.Age, b.req.Age), cmp.Compare(a.req.Txn.Node, b.req.Txn.Node),
			cmp.Compare(a.req.Txn.Seq, b.req.Txn.Seq),
		)
	})
	for _, w := range list {
		r.submitPrepare(now, w.origin, w.req, out)
	}
}

// expireWaiters gives up those that have waited for too long. Nobody waits for
// their answers any more.
func (r *Replica) expireWaiters(before wire.Instant, out *Output) {
	for len(r.locks.waiting) > 0 && r.locks.waiting[0].since < before {
		r.fail(r.locks.waiting[0].origin, kv.ErrConflict, out)
		r.locks.waiting = r.locks.waiting[1:]
	}
}
