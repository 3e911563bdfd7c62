package worker

import (
	"bytes"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// ending is a lease that comes to its end, because its time is up or somebody
// revokes it. Every step can be done twice, and a new leader, which finds the
// record that says so, begins at the first:
//
//	logged ──> close ──> keys ──some──> delete
//	                      ^  │            │
//	                      └──│────────────┘
//	                         └──none──> forget ──> remove ──> answered
//
// Once all shards have closed the lease, no key comes onto it any more. Those
// on it are deleted by one transaction, each if it still hangs on the lease.
// That is asked for again, should nobody know what became of it, until no keys
// are left; only then do the shards forget the lease, and the log.
type ending struct {
	id     kv.LeaseID
	life   uint64
	shards []kv.ShardID
	step   endStep
	// batch has to be applied before the step is over.
	batch uint64
	// open are the answers awaited, failed says that one was no success. A step
	// that failed is tried again at retryAt, 0 for not at all.
	open    int
	failed  bool
	retryAt wire.Instant
	// doomed are the keys found, deletedAt the revision that they went at.
	doomed    []doomed
	deletedAt kv.Revision
	// revoker asked for it, waiting wait for the end of it.
	revoker leaseErrand
	waiting []leaseErrand
}

type endStep uint8

const (
	endLogged endStep = iota
	endClose
	endKeys
	endDelete
	endForget
	endRemove
)

// doomed is a key to be deleted, if it was not modified after a revision.
type doomed struct {
	key []byte
	at  kv.Revision
}

const (
	// endsAtOnce bounds the leases that are being ended at a time.
	endsAtOnce = 128
	// doomedBytesMax bounds a transaction that deletes keys, what each takes
	// beside itself included. What is over is deleted by another.
	doomedBytesMax      = 4 << 20
	doomedOverheadBytes = 64
)

// end begins the end of a lease that exists, unless it has begun.
func (w *Worker) end(now wire.Instant, id kv.LeaseID) *ending {
	l := &w.office.lessor
	if e := l.ending[id]; e != nil {
		return e
	}
	e := &ending{
		id: id, life: l.Life(id), batch: l.Revoke(now, id),
	}
	l.ending[id] = e
	l.ends = append(l.ends, e)
	return e
}

// waits adds somebody who waits until the lease is gone.
func (e *ending) waits(errand leaseErrand) {
	if len(e.waiting) < leaseErrandsMax {
		e.waiting = append(e.waiting, errand)
	}
}

// runEnds goes on with what waits for the log.
func (w *Worker) runEnds(now wire.Instant, sys *replica.Replica) {
	l := &w.office.lessor
	over := false
	for _, e := range l.ends[:min(len(l.ends), endsAtOnce)] {
		switch applied := e.batch <= sys.LeaseBatch(); {
		case applied && e.step == endRemove:
			w.endAnswer(now, sys, e)
			over = true
		case applied && e.step == endLogged:
			// The record is final now, and so is the list of shards.
			e.shards = l.Shards(e.id)
			w.endStep(now, e, endClose)
		}
	}
	if over {
		l.ends = slices.DeleteFunc(l.ends, func(e *ending) bool { return l.ending[e.id] != e })
		w.runEnds(now, sys) // it is the turn of others
	}
}

// endStep begins a step, or begins it again.
func (w *Worker) endStep(now wire.Instant, e *ending, step endStep) {
	if len(e.shards) == 0 && step < endRemove {
		step = endRemove
	}
	if step == endClose && w.cfg.Mutant == mutant.EndUnclosed {
		step = endKeys
	}
	e.step, e.open, e.failed, e.retryAt = step, 0, false, 0
	switch step {
	case endClose:
		w.endAsk(now, e, wire.LeaseClose)
	case endKeys:
		e.doomed = nil
		w.endAsk(now, e, wire.LeaseKeys)
	case endDelete:
		w.endDelete(now, e)
	case endForget:
		w.endAsk(now, e, wire.LeaseForget)
	case endRemove:
		e.batch = w.office.lessor.Remove(e.id)
	}
}

// endAsk asks all shards that may have keys on the lease.
func (w *Worker) endAsk(now wire.Instant, e *ending, op wire.LeaseOp) {
	term := w.office.lessor.term
	e.open = len(e.shards)
	for _, shard := range e.shards {
		req := Request{
			Lease:    &wire.Lease{Op: op, ID: e.id, Life: e.life},
			Deadline: now + wire.Instant(w.cfg.Timing.RequestTimeout),
		}
		w.internal(now, shard, req, func(now wire.Instant, r Reply) {
			if w.office.lessor.term == term {
				w.endAnswered(now, e, r)
			}
		})
	}
}

// endAnswered takes a shard's answer, and goes on when all are there.
func (w *Worker) endAnswered(now wire.Instant, e *ending, r Reply) {
	e.open--
	switch {
	case r.Err != nil:
		e.failed = true
	case e.step == endKeys:
		for _, key := range r.Lease.Lease.Keys {
			e.doomed = append(e.doomed, doomed{key, r.Lease.Lease.Revision})
		}
	}
	switch {
	case e.open > 0:
	case e.failed:
		e.retryAt = now + retryMax
	case e.step == endClose:
		w.endStep(now, e, endKeys)
	case e.step == endKeys && len(e.doomed) > 0:
		slices.SortFunc(e.doomed, func(a, b doomed) int { return bytes.Compare(a.key, b.key) })
		w.endStep(now, e, endDelete)
	case e.step == endKeys:
		w.endStep(now, e, endForget)
	case e.step == endForget:
		w.endStep(now, e, endRemove)
	}
}

// endDelete deletes the keys that were found, at one revision.
func (w *Worker) endDelete(now wire.Instant, e *ending) {
	term := w.office.lessor.term
	req := Request{
		Txn:      e.deletion(),
		Deadline: now + wire.Instant(w.cfg.Timing.RequestTimeout),
	}
	w.internal(now, 0, req, func(now wire.Instant, r Reply) {
		if w.office.lessor.term != term {
			return
		}
		if r.Err != nil {
			e.step, e.retryAt = endKeys, now+retryMax // some may be gone
			return
		}
		if deletedAny(r.Txn) {
			e.deletedAt = r.Txn.Revision
		}
		w.endStep(now, e, endKeys)
	})
}

// deletion deletes each key if it still hangs on the lease, as the version
// that was found: not on a later lease of the same id, should the request
// be delayed until there is one.
func (e *ending) deletion() *kv.TxnRequest {
	txn := &kv.TxnRequest{}
	size := 0
	for _, d := range e.doomed {
		if size += len(d.key) + doomedOverheadBytes; size > doomedBytesMax && len(txn.Success) > 0 {
			break
		}
		txn.Success = append(txn.Success, kv.Op{Txn: &kv.TxnRequest{
			Compares: []kv.Compare{
				{Key: d.key, Target: kv.CompareLease, Relation: kv.Equal, Number: int64(e.id)},
				{Key: d.key, Target: kv.CompareMod, Relation: kv.Less, Number: int64(d.at) + 1},
			},
			Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: kv.PointRange(d.key)}}},
		}})
	}
	return txn
}

func deletedAny(resp *kv.TxnResponse) bool {
	for i := range resp.Results {
		if t := resp.Results[i].Txn; t != nil && t.Succeeded {
			return true
		}
	}
	return false
}

// endAnswer answers everybody: the lease is gone.
func (w *Worker) endAnswer(now wire.Instant, sys *replica.Replica, e *ending) {
	delete(w.office.lessor.ending, e.id)
	if e.revoker.req != nil {
		w.respondLease(now, e.revoker, &wire.LeaseResponse{
			Lease: kv.Lease{ID: e.id, Revision: e.deletedAt},
		})
	}
	for _, errand := range e.waiting {
		w.leaseNotFound(now, sys, errand)
	}
}

// tickEnds tries again what has failed, and gives those up who have waited for
// too long.
func (w *Worker) tickEnds(now wire.Instant) {
	late := now - wire.Instant(w.cfg.Timing.RequestTimeout)
	for _, e := range w.office.lessor.ends {
		if e.retryAt != 0 && now >= e.retryAt {
			w.endStep(now, e, e.step)
		}
		n := 0
		for n < len(e.waiting) && e.waiting[n].since < late {
			n++
		}
		e.waiting = e.waiting[n:]
	}
}
