package replica

import (
	"encoding/binary"
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

// heldMax bounds the transactions that hold locks at a time.
const heldMax = 4096

// preparing is a Prepare that is not answered yet: its locks keep newcomers
// away, but what was evaluated before them has to be over first.
type preparing struct {
	origin Origin
	req    *wire.Prepare
	// writes is the last write that the locks overlap, numbered the last transaction
	// that was evaluated: it may have read what the locks are to write, so its
	// revision has to be the lower one. Both are seqs of the queue, 0 for none.
	writes, numbered uint64
}

func (r *Replica) submitPrepare(now wire.Instant, from Origin, p *wire.Prepare, out *Output) {
	h := r.locks.held[p.Txn]
	switch {
	case !r.canServe():
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case !r.covers(lockSpans(p.Locks)) || !r.covers(gatherSpans(&p.Gather)):
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
	case r.locks.outcomes[p.Txn] != nil || r.locks.burying[p.Txn]:
		r.answer(from, &wire.Response{Code: wire.CodeAborted}, out)
	case h != nil:
		r.prepareAgain(now, from, h, p, out)
	case p.Empty():
		r.answer(from, &wire.Response{Code: wire.CodeAborted}, out)
	case len(r.locks.order) >= heldMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	case r.locks.conflict(p.Locks) != nil || r.awaited(p) || r.pastBlocked(&p.Gather):
		r.contend(now, from, p, out)
	default:
		r.dropWaiter(p.Txn) // it asks again, and is let in before those behind it
		r.prepare(now, from, p, out)
	}
}

// prepare locks, at once for whoever comes later, and durably by an entry.
func (r *Replica) prepare(now wire.Instant, from Origin, p *wire.Prepare, out *Output) {
	h := &held{since: now, prepareRecord: prepareRecord{
		txn: p.Txn, primary: p.Primary, locks: p.Locks, lower: max(r.queue.numbered,
			r.state.applied.Revision, r.closed.upTo, r.locks.observed),
	}}
	data := appendPrepare([]byte{kindPrepare}, &h.prepareRecord)
	if !r.step([]*raftpb.Entry{{Data: data}}) {
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
		return
	}
	h.preparing = r.newPreparing(from, p)
	r.locks.hold(h)
	if r.cfg.Mutant == mutant.PrepareBeforeApply {
		h.token = 1
		r.answerPrepared(h, out)
		h.token = 0
	}
}

func (r *Replica) newPreparing(from Origin, p *wire.Prepare) *preparing {
	w := &preparing{origin: from, req: p}
	for _, l := range p.Locks {
		if seq, ok := r.queue.overlay.LastOverlap(l.Range, kv.RevisionMax); ok {
			w.writes = max(w.writes, seq)
		}
	}
	for _, span := range pastSpans(&p.Gather) {
		if seq, ok := r.queue.overlay.LastOverlap(span, p.Gather.At); ok {
			w.writes = max(w.writes, seq)
		}
	}
	if list := r.queue.evaluated; len(list) > 0 {
		w.numbered = list[len(list)-1].seq
	}
	return w
}

// prepareAgain answers somebody who asks a second time: the coordinator is alive.
func (r *Replica) prepareAgain(
	now wire.Instant, from Origin, h *held, p *wire.Prepare, out *Output,
) {
	if h.deciding {
		r.answer(from, &wire.Response{Code: wire.CodeAborted}, out)
		return
	}
	h.since = now
	if p.Empty() {
		r.answer(from, outcomeResponse(&outcome{}), out)
		return
	}
	h.preparing = r.newPreparing(from, p)
	r.answerPrepared(h, out)
}

// answerPrepares answers what waits for nothing any more.
func (r *Replica) answerPrepares(out *Output) {
	for _, h := range r.locks.order {
		if h.preparing != nil {
			r.answerPrepared(h, out)
		}
	}
}

func (r *Replica) answerPrepared(h *held, out *Output) {
	w := h.preparing
	if h.token == 0 || r.queue.pendingUpTo(w.writes) || r.queue.unnumberedUpTo(w.numbered) {
		if r.cfg.Mutant != mutant.PrepareBeforeApply {
			return
		}
	}
	h.preparing = nil
	gathered := r.gather(&w.req.Gather, 0, w.req.Gather.At)
	r.answer(w.origin, &wire.Response{Prepared: &wire.Prepared{
		Token: h.token, Gathered: gathered,
		Missing: r.leases.missing(withKept(w.req.Leases, &gathered)),
	}}, out)
}

// withKept adds to the leases that puts name those of what was read, which puts may keep.
func withKept(named []kv.LeaseID, g *wire.Gathered) []kv.LeaseID {
	all := slices.Clone(named)
	for i := range g.Parts {
		for _, pair := range g.Parts[i].Range.KVs {
			if pair.Lease != 0 {
				all = append(all, pair.Lease)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unnumberedUpTo reports whether a transaction up to and including seq is
// evaluated but has no revision yet.
func (q *queue) unnumberedUpTo(seq uint64) bool {
	return len(q.evaluated) > 0 && q.evaluated[0].seq <= seq
}

// gather reads several ranges from the engine; at 0 is what was applied last.
func (r *Replica) gather(g *wire.Gather, at, current kv.Revision) wire.Gathered {
	parts := make([]wire.GatheredPart, len(g.Reads))
	left := r.cfg.Bounds.AnswerBytesMax
	for i := range g.Reads {
		view := mvcc.View{
			Reader: r.cfg.Engine, Recent: r.recent, At: at, Current: current,
			Compacted: r.state.compacted,
			BytesMax:  max(left, 1),
		}
		resp, err := view.Range(g.Reads[i])
		if err != nil {
			parts[i] = wire.GatheredPart{Code: wire.CodeOf(err), Text: err.Error()}
			continue
		}
		parts[i].Range = resp
		left -= resp.Size()
	}
	return wire.Gathered{Parts: parts}
}

func gatherSpans(g *wire.Gather) []kv.Range {
	spans := make([]kv.Range, len(g.Reads))
	for i := range g.Reads {
		spans[i] = g.Reads[i].Range
	}
	return spans
}

// pastSpans are the ranges that are read at revisions of their own.
func pastSpans(g *wire.Gather) []kv.Range {
	var spans []kv.Range
	for i := range g.Reads {
		if g.Reads[i].Revision != 0 {
			spans = append(spans, g.Reads[i].Range)
		}
	}
	return spans
}

// pastBlocked reports whether what is read of the past may not be over yet.
func (r *Replica) pastBlocked(g *wire.Gather) bool {
	return len(r.locks.order) > 0 && r.readBlocked(pastSpans(g), g.At)
}

func lockSpans(list []wire.Lock) []kv.Range {
	spans := make([]kv.Range, len(list))
	for i := range list {
		spans[i] = list[i].Range
	}
	return spans
}

// applyPrepare takes the locks of a transaction down.
func (r *Replica) applyPrepare(b engine.Batch, e *raftpb.Entry, body []byte) error {
	rec, err := decodePrepare(body)
	if err != nil {
		return err
	}
	h := r.locks.held[rec.txn]
	if h == nil {
		h = &held{prepareRecord: *rec}
		r.locks.hold(h)
	}
	if h.token != 0 {
		return fmt.Errorf("transaction %v is prepared twice", rec.txn)
	}
	h.token = e.GetIndex()
	value := append(binary.AppendUvarint(nil, h.token), body...)
	return b.Set(txnKey(r.cfg.Shard, keyspace.KindPrepare, rec.txn), value)
}
