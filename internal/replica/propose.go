package replica

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// propose sends everything that is numbered through the log, in one message
// to raft. What only read is answered once all that it saw is applied.
func (r *Replica) propose(now wire.Instant, out *Output) {
	q := &r.queue
	ready := 0
	for ready < len(q.evaluated) && q.evaluated[ready].rev != 0 {
		ready++
	}
	batch := q.evaluated[:ready]
	entries := r.entries(batch)
	if len(entries) > 0 && !r.step(entries) {
		r.abandon(wire.CodeRetry, out)
		return
	}
	q.evaluated = q.evaluated[ready:]
	for _, it := range batch {
		it.eval.SetRevision(it.rev)
		if !it.writes() {
			r.settle(now, it, out)
			continue
		}
		it.term = r.role.term
		q.inflight = append(q.inflight, it)
		if r.cfg.Mutant == mutant.AnswerBeforeCommit {
			r.finish(it, out)
		}
	}
}

// step proposes entries; false means that raft took none of them.
func (r *Replica) step(entries []*raftpb.Entry) bool {
	err := r.raft.Step(&raftpb.Message{
		Type: raftpb.MsgProp.Enum(), From: new(uint64(r.id)), Entries: entries,
	})
	return err == nil
}

// entries packs effects into as few entries as their size allows.
func (r *Replica) entries(batch []*item) []*raftpb.Entry {
	var list []*raftpb.Entry
	var buf []byte
	for _, it := range batch {
		if !it.writes() {
			continue
		}
		if len(buf) == 0 {
			buf = append(make([]byte, 0, it.bytes+256), kindEffects)
			it.opens = true
		}
		buf = appendEffect(buf, effect{seq: it.seq, rev: it.rev, writes: it.eval.Writes})
		if len(buf) >= r.cfg.Bounds.EntryBytesMax {
			list, buf = append(list, &raftpb.Entry{Data: buf}), nil
		}
	}
	if len(buf) > 0 {
		list = append(list, &raftpb.Entry{Data: buf})
	}
	return list
}

// settle turns a transaction that wrote nothing into a read whose result is
// known: what it saw may still be in flight.
func (r *Replica) settle(now wire.Instant, it *item, out *Output) {
	r.queue.release(it)
	rd := &read{
		seq: it.seq, origin: it.origin, since: it.since, at: it.rev,
		result: &wire.Response{Txn: &it.eval.Response},
	}
	if it.refused != nil {
		rd.result = &wire.Response{Code: wire.CodeOf(it.refused), Text: it.refused.Error()}
	}
	if n := len(r.queue.inflight); n > 0 {
		rd.wait = r.queue.inflight[n-1].seq
		r.reads.waiting = append(r.reads.waiting, rd)
		return
	}
	r.carryOut(now, rd, out)
}

// finish answers a write that is applied.
func (r *Replica) finish(it *item, out *Output) {
	r.answer(it.origin, &wire.Response{Txn: &it.eval.Response}, out)
	it.origin = Origin{}
}

// ProposeMark sends a mark of the oracle through the log. It reports whether
// raft took it; Mark tells when it is applied.
func (r *Replica) ProposeMark(mark kv.Revision) bool {
	return r.step([]*raftpb.Entry{{Data: appendMark(nil, mark)}})
}

// Mark is the oracle's mark as of the last applied entry.
func (r *Replica) Mark() kv.Revision { return r.state.mark }

// pendingUpTo reports whether a write up to and including seq is not applied.
func (q *queue) pendingUpTo(seq uint64) bool {
	if len(q.inflight) > 0 {
		return q.inflight[0].seq <= seq
	}
	for _, it := range q.evaluated {
		if it.writes() {
			return it.seq <= seq
		}
	}
	return false
}
