package replica

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// Submit takes a client's request. It is answered through an Output now or
// later, always.
func (r *Replica) Submit(now wire.Instant, from Origin, req *wire.Request, out *Output) {
	switch {
	case req.Range != nil && req.Range.Serializable:
		r.readLocal(now, from, req.Range, out)
	case req.Feed != nil:
		r.submitFeed(now, from, req.Feed, out)
	case !r.role.leader:
		r.refuse(from, out)
	case req.Decide != nil:
		r.submitDecide(now, from, req.Decide, out)
	case req.Resolve != nil:
		r.submitResolve(now, from, req.Resolve, out)
	case req.Settle != nil:
		r.submitSettle(now, from, req.Settle, out)
	case r.queue.len()+r.reads.len() >= r.cfg.Bounds.QueueMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	case r.queue.bytes >= r.cfg.Bounds.QueueBytesMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	case req.Close != nil:
		r.submitClose(now, from, req.Close, out)
	case req.Range != nil:
		r.submitRead(now, from, req.Range, out)
	case req.Compact != nil:
		r.submitFloor(now, from, req.Compact.Revision, out)
	case req.Lease != nil:
		r.submitLease(now, from, req.Lease, out)
	case req.Alarm != nil:
		r.submitAlarm(now, from, req.Alarm, out)
	case req.Txn != nil:
		r.submitTxn(now, from, req.Txn, out)
	case req.Gather != nil:
		r.submitGather(now, from, req.Gather, out)
	case req.Prepare != nil:
		r.submitPrepare(now, from, req.Prepare, out)
	default:
		r.fail(from, kv.Invalid("request: neither a range nor a transaction"), out)
	}
}

func (r *Replica) submitTxn(now wire.Instant, from Origin, req *kv.TxnRequest, out *Output) {
	if !r.covers(mvcc.Spans(req)) {
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
		return
	}
	if mvcc.ReadOnly(req) || mvcc.HasRevision(req) {
		r.reads.add(&read{
			seq: r.queue.next(), origin: from, since: now, txn: req, spans: mvcc.Spans(req),
			evaluate: !mvcc.ReadOnly(req),
		})
		return
	}
	r.enqueue(now, from, req, 0, out)
}

// enqueue takes a transaction that may write. current is the revision that was
// taken for it, if it reads the past: what it names above that is refused.
func (r *Replica) enqueue(
	now wire.Instant, from Origin, req *kv.TxnRequest, current kv.Revision, out *Output,
) {
	it := &item{
		seq: r.queue.next(), origin: from, since: now, req: req, current: current,
		bytes: txnBytes(req),
	}
	r.queue.bytes += it.bytes
	r.queue.arrived = append(r.queue.arrived, it)
	r.evaluate(out)
}

// covers reports whether spans lie in the shard; an empty one lies anywhere.
func (r *Replica) covers(spans []kv.Range) bool {
	own := r.state.desc.Range()
	for _, s := range spans {
		if !s.Empty() && !own.ContainsRange(s) {
			return false
		}
	}
	return r.cfg.Shard != kv.SystemShard
}

// canServe reports whether the replica may evaluate (invariant 1).
func (r *Replica) canServe() bool {
	if r.cfg.Mutant == mutant.ServeBeforeTerm {
		return r.role.leader
	}
	return r.role.serving
}

// hasLogRoom reports whether more may go into the log. What is not evaluated yet waits
// where it can still be refused, and the log's writer never has so much to do that who
// waits for it is late.
func (r *Replica) hasLogRoom() bool { return r.queue.underWay < r.cfg.Bounds.UnderWayBytesMax }

// evaluate works through what has arrived, in order, as far as it can.
func (r *Replica) evaluate(out *Output) {
	q := &r.queue
	for len(q.arrived) > 0 && r.canServe() && !r.held && r.hasLogRoom() {
		it := q.arrived[0]
		if r.itemBlocked(it.req) {
			q.arrived, q.blocked = q.arrived[1:], append(q.blocked, it)
			continue
		}
		it.seq = q.next()
		view := mvcc.View{
			Reader: r.cfg.Engine, Recent: r.recent, Overlay: q.overlay,
			Current: r.currentFor(it), Compacted: r.state.compacted,
			BytesMax: r.cfg.Bounds.AnswerBytesMax, Leases: &r.leases,
		}
		eval, err := mvcc.Evaluate(view, it.req, mvcc.Provisional(it.seq))
		if errors.Is(err, mvcc.ErrPending) {
			return // until the revision that it compares with is known
		}
		q.arrived = q.arrived[1:]
		effect := effectBytes(eval.Writes)
		if most := r.cfg.Bounds.EffectBytesMax; err == nil && effect > most {
			err = fmt.Errorf("%w: it changes %d keys, which takes %d bytes of log, "+
				"the most is %d; delete in parts", kv.ErrTooLarge, len(eval.Writes), effect, most)
		}
		if isOfState(err) {
			it.refused, eval, effect, err = err, mvcc.Evaluation{}, 0, nil
		}
		if err != nil {
			q.release(it)
			r.failItem(it.origin, err, out)
			continue
		}
		it.eval = eval
		it.effect = effect
		it.bytes += effect
		q.bytes += effect
		q.underWay += effect
		if it.writes() {
			q.overlay.Add(it.seq, mvcc.Provisional(it.seq), it.eval.Writes)
			q.writing++
		}
		q.evaluated = append(q.evaluated, it)
	}
}

// isOfState reports whether a transaction was refused for what the keys hold, and not for
// what it says itself.
func isOfState(err error) bool {
	return errors.Is(err, kv.ErrKeyNotFound) || errors.Is(err, kv.ErrFutureRevision) ||
		errors.Is(err, kv.ErrTooLarge) || errors.Is(err, kv.ErrDuplicateKey)
}

// currentFor is the last revision as far as an item may know it.
func (r *Replica) currentFor(it *item) kv.Revision {
	if it.current != 0 {
		return it.current
	}
	return max(r.queue.numbered, r.state.applied.Revision)
}

// answer hands a response to the worker.
func (r *Replica) answer(to Origin, resp *wire.Response, out *Output) {
	if to.ID == 0 {
		return
	}
	resp.ID = to.ID
	out.Answers = append(out.Answers, Answer{Node: to.Node, Response: *resp})
}

func (r *Replica) fail(to Origin, err error, out *Output) {
	r.answer(to, &wire.Response{Code: wire.CodeOf(err), Text: err.Error()}, out)
}

// refuse sends the asker to the leader.
func (r *Replica) refuse(to Origin, out *Output) {
	leader := r.Leader()
	if leader == r.cfg.Node {
		leader = 0 // it was, a moment ago
	}
	r.answer(to, &wire.Response{Code: wire.CodeNotLeader, Leader: leader}, out)
}

// abandon gives up everything that is not proposed: none of it has happened,
// and nothing of it may stay in the overlay (invariant 3).
func (r *Replica) abandon(code wire.Code, out *Output) {
	q := &r.queue
	for _, list := range [][]*item{q.evaluated, q.arrived, q.blocked} {
		for _, it := range list {
			q.release(it)
			r.answer(it.origin, &wire.Response{Code: code, Leader: r.Leader()}, out)
		}
	}
	if r.cfg.Mutant != mutant.KeepOverlay && len(q.evaluated) > 0 {
		q.overlay.DropFrom(q.evaluated[0].seq)
	}
	q.evaluated, q.arrived, q.blocked, q.tickets, q.writing = nil, nil, nil, nil, 0
}

// effectBytes is roughly what writes take in the log.
func effectBytes(writes []mvcc.Write) int {
	n := 0
	for i := range writes {
		n += len(writes[i].Key) + len(writes[i].Value) + 24
	}
	return n
}

// txnBytes is roughly what a transaction occupies.
func txnBytes(req *kv.TxnRequest) int {
	n := 64
	for _, c := range req.Compares {
		n += len(c.Key) + len(c.RangeEnd) + len(c.Value) + 64
	}
	for _, branch := range [][]kv.Op{req.Success, req.Failure} {
		for _, op := range branch {
			n += 64
			switch {
			case op.Put != nil:
				n += len(op.Put.Key) + len(op.Put.Value)
			case op.Delete != nil:
				n += len(op.Delete.Start) + len(op.Delete.End)
			case op.Range != nil:
				n += len(op.Range.Start) + len(op.Range.End)
			case op.Txn != nil:
				n += txnBytes(op.Txn)
			}
		}
	}
	return n
}
