package replica

import (
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// locks are what transactions over several shards hold here, and, if this is
// the primary shard of one, what became of it. Both are replicated; what only a
// leader knows of them ends with its term.
//
//	Prepare ──> held ──applied──> answered ──Decide (primary), Resolve (others)──> gone
//	                                             └──> outcome ──all resolved, a while──> forgotten
type locks struct {
	held map[wire.TxnID]*held
	// order are those held, in the order in which they came.
	order    []*held
	outcomes map[wire.TxnID]*outcome
	// decided are the outcomes in their order.
	decided []*outcome
	// waiting are those that wait in line.
	waiting []*waiter
	// burying are the unknown transactions that an abort is proposed for.
	burying map[wire.TxnID]bool
	// released says that a lock went since blocked requests were looked at.
	released bool
	// answers go out when what they tell is committed to the engine.
	answers []Answer
	// observed is the highest revision known to have been handed out.
	observed kv.Revision
	// settled counts the aborts proposed because nobody decided.
	settled int64
}

// held is one transaction's hold on keys of the shard.
type held struct {
	prepareRecord
	// token is the index of its entry in the log, 0 until that is applied.
	token uint64
	// since is when this leader saw it first, 0 if it has not yet.
	since wire.Instant
	// preparing is who waits for the answer to Prepare.
	preparing *preparing
	// deciding says that its end is proposed; askers wait for that.
	deciding bool
	askers   []Origin
	// asked is when the primary was asked last what became of it.
	asked wire.Instant
}

// outcome is what became of a transaction that this shard is the primary of.
type outcome struct {
	txn      wire.TxnID
	state    wire.OutcomeState
	revision kv.Revision
	// untold says that other shards may not have taken their parts yet. The
	// leader that committed them has those parts at hand.
	untold bool
	parts  []wire.Part
	// since is when this leader saw it first, asked when it told the others
	// last.
	since, asked wire.Instant
	forgetting   bool
}

func newLocks() locks {
	return locks{
		held: map[wire.TxnID]*held{}, outcomes: map[wire.TxnID]*outcome{},
		burying: map[wire.TxnID]bool{},
	}
}

// loadLocks reads what the engine holds.
func (r *Replica) loadLocks() error {
	observed, settled := r.locks.observed, r.locks.settled
	r.locks = newLocks()
	r.locks.observed, r.locks.settled = observed, settled
	r.locks.released = true
	err := r.eachRecord(keyspace.KindPrepare, func(value []byte) error {
		in := recordReader{rest: value}
		token := in.number()
		rec, err := decodePrepare(in.rest)
		if err == nil {
			r.locks.hold(&held{prepareRecord: *rec, token: token})
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(r.locks.order, func(a, b *held) int { return int(a.token) - int(b.token) })
	return r.eachRecord(keyspace.KindOutcome, func(value []byte) error {
		rec, err := decodeDecide(value)
		if err == nil {
			r.locks.decide(rec)
		}
		return err
	})
}

// eachRecord calls f with the values of one kind of metadata.
func (r *Replica) eachRecord(kind keyspace.Kind, f func(value []byte) error) error {
	start := keyspace.MetaKey(nil, r.cfg.Shard, kind)
	it, err := r.cfg.Engine.NewIter(start, keyspace.MetaKey(nil, r.cfg.Shard, kind+1))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for on := it.First(); on; on = it.Next() {
		if err := f(slices.Clone(it.Value())); err != nil {
			return fmt.Errorf("shard %v: %w", r.cfg.Shard, err)
		}
	}
	return it.Error()
}

func txnKey(shard kv.ShardID, kind keyspace.Kind, id wire.TxnID) []byte {
	return keyspace.TxnKey(nil, shard, kind, id.Node, id.Seq)
}

func (l *locks) hold(h *held) {
	l.held[h.txn] = h
	l.order = append(l.order, h)
}

// release forgets a hold.
func (l *locks) release(h *held) {
	delete(l.held, h.txn)
	l.order = slices.DeleteFunc(l.order, func(o *held) bool { return o == h })
	l.released = true
}

// decide takes note of an outcome.
func (l *locks) decide(rec *decideRecord) *outcome {
	o := &outcome{txn: rec.txn, state: wire.OutcomeAborted}
	if rec.commit {
		o.state, o.revision = wire.OutcomeCommitted, rec.revision
		o.untold = len(rec.others) > 0
	}
	if l.outcomes[rec.txn] == nil {
		l.decided = append(l.decided, o)
	}
	l.outcomes[rec.txn] = o
	return o
}

// conflict is a hold that forbids to lock, nil if there is none.
func (l *locks) conflict(want []wire.Lock) *held {
	for _, h := range l.order {
		if h.conflicts(want) {
			return h
		}
	}
	return nil
}

func (h *held) conflicts(want []wire.Lock) bool { return conflicting(h.locks, want) }

func conflicting(have, want []wire.Lock) bool {
	for _, a := range have {
		for _, b := range want {
			if (a.Write || b.Write) && a.Overlaps(b.Range) {
				return true
			}
		}
	}
	return false
}

// lowestLock is below every revision that a transaction which holds locks
// here may yet write at; RevisionMax if there is none.
func (r *Replica) lowestLock() kv.Revision {
	lowest := kv.RevisionMax
	if r.cfg.Mutant == mutant.ClosePastLock {
		return lowest
	}
	for _, h := range r.locks.order {
		lowest = min(lowest, h.lower)
	}
	return lowest
}

// readBlocked reports whether a read of spans at a revision has to wait for a
// transaction, which may commit at or below it.
func (r *Replica) readBlocked(spans []kv.Range, at kv.Revision) bool {
	if r.cfg.Mutant == mutant.ReadPastLock {
		return false
	}
	for _, h := range r.locks.order {
		if h.lower >= at {
			continue
		}
		if slices.ContainsFunc(spans, h.writes) {
			return true
		}
	}
	return false
}

func (h *held) writes(span kv.Range) bool {
	for _, l := range h.locks {
		if l.Write && l.Overlaps(span) {
			return true
		}
	}
	return false
}

// itemBlocked reports whether a transaction of this shard alone has to wait for
// one over several.
func (r *Replica) itemBlocked(req *kv.TxnRequest) bool {
	if len(r.locks.order) == 0 {
		return false
	}
	reads, writes := mvcc.Footprint(req)
	return r.locks.conflict(lockList(reads, writes)) != nil
}

func lockList(reads, writes []kv.Range) []wire.Lock {
	list := make([]wire.Lock, 0, len(reads)+len(writes))
	for _, span := range reads {
		list = append(list, wire.Lock{Range: span})
	}
	for _, span := range writes {
		list = append(list, wire.Lock{Range: span, Write: true})
	}
	return list
}

// unblock lets what waited for locks try again, after one went.
func (r *Replica) unblock(now wire.Instant, out *Output) {
	if !r.locks.released {
		return
	}
	r.locks.released = false
	q := &r.queue
	q.arrived, q.blocked = append(q.blocked, q.arrived...), nil
	blocked := r.reads.blocked
	r.reads.blocked = nil
	for _, rd := range blocked {
		r.await(now, rd, out)
	}
	r.evaluate(out)
	r.prepareWaiters(now, out)
}

// flushAnswers sends the answers to what is committed now.
func (r *Replica) flushAnswers(out *Output) {
	out.Answers = append(out.Answers, r.locks.answers...)
	r.locks.answers = nil
}

// dropLocks ends a term: what was only proposed may come back through the log.
func (r *Replica) dropLocks(out *Output) {
	for _, h := range slices.Clone(r.locks.order) {
		for _, asker := range h.askers {
			r.refuse(asker, out)
		}
		if h.preparing != nil {
			r.refuse(h.preparing.origin, out)
		}
		h.preparing, h.askers, h.deciding, h.since, h.asked = nil, nil, false, 0, 0
		if h.token == 0 {
			r.locks.release(h)
		}
	}
	for _, o := range r.locks.decided {
		o.since, o.asked, o.forgetting, o.parts = 0, 0, false, nil
	}
	for _, w := range r.locks.waiting {
		r.refuse(w.origin, out)
	}
	r.locks.waiting = nil
	clear(r.locks.burying)
}

// deleteRecord removes a transaction's record of one kind.
func (r *Replica) deleteRecord(b engine.Batch, kind keyspace.Kind, id wire.TxnID) error {
	return b.Delete(txnKey(r.cfg.Shard, kind, id))
}
