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
	"go.etcd.io/raft/v3/raftpb"
)

// submitDecide commits a transaction whose primary shard this is, if it is still
// prepared. That it is not must be certain: a leader that others have deposed
// may lack the prepare, and the record too.
func (r *Replica) submitDecide(now wire.Instant, from Origin, d *wire.Decide, out *Output) {
	h, o := r.locks.held[d.Txn], r.locks.outcomes[d.Txn]
	switch {
	case !r.canServe():
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case o != nil:
		r.answer(from, outcomeResponse(o), out)
	case h == nil || h.token != d.Token || h.primary != r.cfg.Shard:
		r.Confirm(now, from, outcomeResponse(&outcome{state: wire.OutcomeAborted}), out)
	case h.deciding:
		h.askers = append(h.askers, from)
	case r.refuseParts(h, from, d.Revision, d.Effect, d.Others, out):
	default:
		rec := &decideRecord{
			txn: d.Txn, commit: true, revision: d.Revision, effect: d.Effect, others: d.Others,
		}
		if !r.proposeEnd(h, appendDecide([]byte{kindDecide}, rec)) {
			r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
			return
		}
		h.askers = append(h.askers, from)
		if r.cfg.Mutant == mutant.AnswerBeforeRecord {
			r.answer(from, outcomeResponse(&outcome{
				state: wire.OutcomeCommitted, revision: d.Revision,
			}), out)
		}
	}
}

// proposeEnd proposes what ends a hold.
func (r *Replica) proposeEnd(h *held, data []byte) bool {
	h.deciding = r.step([]*raftpb.Entry{{Data: data}})
	return h.deciding
}

// refuseParts refuses what could not be applied, and reports whether it did. Once it is
// in the log it would stop every replica, however often they start.
func (r *Replica) refuseParts(
	h *held, from Origin, rev kv.Revision, effect []byte, others []wire.Part, out *Output,
) bool {
	_, err := r.partOf(h, rev, effect)
	for i := range others {
		if _, bad := decodePart(rev, others[i].Effect); bad != nil {
			err = fmt.Errorf("part of shard %v: %w", others[i].Shard, bad)
		}
	}
	if err != nil {
		r.fail(from, kv.Invalid("transaction %v: %v", h.txn, err), out)
	}
	return err != nil
}

// submitResolve ends a hold as somebody says who knows: the primary shard after
// its record, or the coordinator of a transaction that it gave up itself. The
// primary shard forgets what is confirmed here, so that has to be certain.
func (r *Replica) submitResolve(now wire.Instant, from Origin, s *wire.Resolve, out *Output) {
	h := r.locks.held[s.Txn]
	if r.dropWaiter(s.Txn) {
		r.unblock(now, out)
	}
	switch {
	case !r.canServe():
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case h == nil || s.Token != 0 && h.token != 0 && h.token != s.Token:
		r.Confirm(now, from, &wire.Response{Outcome: &wire.Outcome{}}, out)
	case s.Token != 0 && h.token == 0:
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case h.deciding:
		h.askers = append(h.askers, from)
	case s.Commit && r.refuseParts(h, from, s.Revision, s.Effect, nil, out):
	default:
		rec := &resolveRecord{
			txn: s.Txn, token: h.token, commit: s.Commit, revision: s.Revision, effect: s.Effect,
		}
		if !r.proposeEnd(h, appendResolve([]byte{kindResolve}, rec)) {
			r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
			return
		}
		h.askers = append(h.askers, from)
	}
}

// outcomeResponse tells an outcome, without its effects.
func outcomeResponse(o *outcome) *wire.Response {
	return &wire.Response{Outcome: &wire.Outcome{State: o.state, Revision: o.revision}}
}

// abort decides against a transaction for good. What is not known here, and
// may yet arrive, is too.
func (r *Replica) abort(id wire.TxnID) {
	h := r.locks.held[id]
	data := appendDecide([]byte{kindDecide}, &decideRecord{txn: id})
	switch {
	case h != nil && !h.deciding:
		if r.proposeEnd(h, data) {
			r.locks.settled++
		}
	case h == nil && !r.locks.burying[id]:
		r.locks.burying[id] = r.step([]*raftpb.Entry{{Data: data}})
	}
}

// applyDecide writes a transaction's record, and what it does here.
func (r *Replica) applyDecide(b engine.Batch, body []byte) error {
	rec, err := decodeDecide(body)
	if err != nil {
		return err
	}
	h := r.locks.held[rec.txn]
	if rec.commit {
		if h == nil || h.token == 0 {
			return fmt.Errorf("transaction %v commits, but is not prepared", rec.txn)
		}
		if err := r.applyPart(b, h, rec.revision, rec.effect); err != nil {
			return err
		}
	}
	if err := b.Set(txnKey(r.cfg.Shard, keyspace.KindOutcome, rec.txn), body); err != nil {
		return err
	}
	delete(r.locks.burying, rec.txn)
	o := r.locks.decide(rec)
	if r.role.leader && rec.commit {
		o.parts = rec.others
	}
	if h == nil {
		return nil
	}
	return r.applyEnd(b, h, outcomeResponse(o))
}

// applyResolve ends a hold. One that is gone already stays gone.
func (r *Replica) applyResolve(b engine.Batch, body []byte) error {
	rec, err := decodeResolve(body)
	if err != nil {
		return err
	}
	h := r.locks.held[rec.txn]
	if h == nil || h.token == 0 || rec.token != 0 && rec.token != h.token {
		return nil
	}
	if rec.commit {
		if err := r.applyPart(b, h, rec.revision, rec.effect); err != nil {
			return err
		}
	}
	return r.applyEnd(b, h, &wire.Response{Outcome: &wire.Outcome{}})
}

// applyPart writes what a transaction does here, at its revision.
func (r *Replica) applyPart(b engine.Batch, h *held, rev kv.Revision, effect []byte) error {
	part, err := r.partOf(h, rev, effect)
	if err != nil || len(effect) == 0 {
		return err
	}
	if err := mvcc.ApplyPart(b, r.recent, r.cfg.Shard, rev, part); err != nil {
		return err
	}
	r.state.applied.Revision = max(r.state.applied.Revision, rev)
	r.feeds.applied(rev, part.Writes, part.Subs)
	return nil
}

// partOf decodes what a transaction that a hold is of does here, if it can be applied.
func (r *Replica) partOf(h *held, rev kv.Revision, effect []byte) (mvcc.Part, error) {
	part, err := decodePart(rev, effect)
	if err != nil || len(effect) == 0 {
		return part, err
	}
	if rev <= h.lower || rev <= r.closed.upTo && r.cfg.Mutant != mutant.ClosePastLock {
		return part, fmt.Errorf("transaction %v commits at %v, but %v is closed, its bound is %v",
			h.txn, rev, r.closed.upTo, h.lower)
	}
	return part, nil
}

// decodePart decodes a part, which may be empty, and checks it.
func decodePart(rev kv.Revision, effect []byte) (mvcc.Part, error) {
	if len(effect) == 0 && rev >= 0 && rev <= kv.RevisionMax {
		return mvcc.Part{}, nil
	}
	part, err := mvcc.DecodePart(effect)
	if err == nil {
		err = part.Check(rev)
	}
	return part, err
}

// applyEnd forgets a hold and answers who waits for that.
func (r *Replica) applyEnd(b engine.Batch, h *held, resp *wire.Response) error {
	for _, asker := range h.askers {
		resp := *resp
		resp.ID = asker.ID
		r.locks.answers = append(r.locks.answers, Answer{Node: asker.Node, Response: resp})
	}
	if w := h.preparing; w != nil {
		r.locks.answers = append(r.locks.answers, Answer{
			Node: w.origin.Node, Response: wire.Response{ID: w.origin.ID, Code: wire.CodeAborted},
		})
	}
	r.locks.release(h)
	return r.deleteRecord(b, keyspace.KindPrepare, h.txn)
}

// applyForget drops the records of transactions that nobody will ask for.
func (r *Replica) applyForget(b engine.Batch, body []byte) error {
	list, err := decodeForget(body)
	if err != nil {
		return err
	}
	for _, id := range list {
		delete(r.locks.outcomes, id)
		if err := r.deleteRecord(b, keyspace.KindOutcome, id); err != nil {
			return err
		}
	}
	r.locks.decided = slices.DeleteFunc(r.locks.decided, func(o *outcome) bool {
		return r.locks.outcomes[o.txn] == nil
	})
	return nil
}
