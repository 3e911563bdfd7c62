package replica

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// apply writes committed entries into the batch, together with the index that
// they bring the shard to (invariant 4). Entries never fail: they hold effects.
func (r *Replica) apply(m *raftpb.Message, out *Output) {
	if out.Batch == nil {
		out.Batch = r.cfg.Engine.NewBatch()
	}
	for _, e := range m.GetEntries() {
		if err := r.applyEntry(out.Batch, e); err != nil {
			r.broken(e.GetIndex(), "entry of term %d: %v", e.GetTerm(), err)
		}
		r.state.applied.Index, r.state.applied.Term = e.GetIndex(), e.GetTerm()
		if r.role.leader && e.GetTerm() == r.role.term {
			r.role.serving = true
		}
	}
	r.role.unapplied = append(r.role.unapplied, m)
	if r.cfg.Mutant == mutant.LoseApplied && r.state.applied.Index%8 != 0 {
		return
	}
	err := putApplied(out.Batch, r.cfg.Shard, keyspace.KindApplied, r.state.applied)
	if err != nil {
		r.broken(r.state.applied.Index, "applied state: %v", err)
	}
}

func (r *Replica) applyEntry(b engine.Batch, e *raftpb.Entry) error {
	r.queue.settleOlder(e.GetTerm())
	switch {
	case e.GetType() == raftpb.EntryConfChange:
		return r.applyMembers(b, e)
	case e.GetType() != raftpb.EntryNormal:
		return fmt.Errorf("entry type %v is unknown", e.GetType())
	case len(e.GetData()) == 0:
		return nil // a leader's first, or a refused change of members
	}
	kind, body := e.GetData()[0], e.GetData()[1:]
	switch kind {
	case kindEffects:
		return r.applyEffects(b, e, body)
	case kindPrepare:
		return r.applyPrepare(b, e, body)
	case kindDecide:
		return r.applyDecide(b, body)
	case kindResolve:
		return r.applyResolve(b, body)
	case kindForget:
		return r.applyForget(b, body)
	case kindMark:
		mark, err := decodeMark(body)
		if err != nil {
			return err
		}
		r.state.mark = mark
		return putApplied(b, r.cfg.Shard, keyspace.KindOracle, keyspace.Applied{
			Index: e.GetIndex(), Term: e.GetTerm(), Revision: mark,
		})
	case kindLeases:
		return r.applyLeases(b, e, body)
	case kindLeaseMarks:
		return r.applyMarks(b, body)
	case kindFloor:
		return r.applyFloor(b, e, body)
	case kindAlarm:
		return r.applyAlarm(b, e, body)
	}
	return fmt.Errorf("payload kind %d is unknown", kind)
}

func (r *Replica) applyEffects(b engine.Batch, e *raftpb.Entry, body []byte) error {
	for len(body) > 0 {
		eff, rest, err := decodeEffect(body)
		if err != nil {
			return err
		}
		if eff.rev <= r.state.applied.Ordered {
			return fmt.Errorf("revision %v follows %v", eff.rev, r.state.applied.Ordered)
		}
		if err := mvcc.Apply(b, r.recent, r.cfg.Shard, eff.rev, eff.writes); err != nil {
			return err
		}
		r.state.applied.Ordered = eff.rev
		r.state.applied.Revision = max(r.state.applied.Revision, eff.rev)
		r.feeds.applied(eff.rev, eff.writes, nil)
		r.queue.apply(e.GetTerm(), eff.seq)
		body = rest
	}
	return nil
}

// apply marks the oldest proposal as applied if it is this one.
func (q *queue) apply(term, seq uint64) {
	next := len(q.applied)
	if next < len(q.inflight) && q.inflight[next].term == term && q.inflight[next].seq == seq {
		q.applied = q.inflight[:next+1]
	}
}

// settleOlder knows the fate of proposals of earlier terms once an entry of a
// later term is applied: what is not applied by now never will be.
func (q *queue) settleOlder(term uint64) {
	rest := q.inflight[len(q.applied):]
	n := 0
	for n < len(rest) && rest[n].term < term {
		n++
	}
	if n > 0 {
		q.dead = append(q.dead, rest[:n]...)
		q.inflight = append(q.inflight[:len(q.applied):len(q.applied)], rest[n:]...)
		q.applied = q.inflight[:len(q.applied)]
	}
}

// answerApplied answers the proposals whose fate became known.
func (r *Replica) answerApplied(out *Output) {
	q := &r.queue
	for _, it := range q.applied {
		q.release(it)
		if r.role.leader && it.term == r.role.term {
			q.overlay.Done(it.seq)
		}
		r.finish(it, out)
	}
	q.inflight = q.inflight[len(q.applied):]
	q.applied = nil
	for _, it := range q.dead {
		q.release(it)
		r.answer(it.origin, &wire.Response{Code: wire.CodeNotLeader, Leader: r.Leader()}, out)
	}
	q.dead = nil
}

// applyMembers changes the shard's replicas. A change that was planned on
// another set of members than this is void, on all replicas alike.
func (r *Replica) applyMembers(b engine.Batch, e *raftpb.Entry) error {
	var cc raftpb.ConfChange
	if err := unmarshalChange(e.GetData(), &cc); err != nil {
		return err
	}
	desc, err := placement.DecodeDescriptor(cc.GetContext())
	if err != nil {
		return err
	}
	if desc.MemberEpoch != r.state.desc.MemberEpoch+1 ||
		desc.RangeEpoch != r.state.desc.RangeEpoch {
		return nil
	}
	r.raft.ApplyConfChange(&cc)
	r.state.desc = desc
	r.log.Info("members changed", "epoch", desc.MemberEpoch, "replicas", desc.Replicas)
	return putDescriptor(b, desc)
}
