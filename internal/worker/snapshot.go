package worker

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// missing answers a leader that replicates to a replica which this node does
// not have. A registered learner is told so: "I have nothing" makes the
// leader send a snapshot. Nothing is created by it. A heartbeat is answered,
// because raft waits for that before it tries again after a snapshot that
// failed; but without stamp and context, so that it counts for no lease and no read.
//
// A leader that still replicates to a replica whose log it believes to be here
// tries the same entry again at once, so it is told seldom.
func (w *Worker) missing(now wire.Instant, from kv.NodeID, m *wire.Raft) {
	answer := &raftpb.Message{From: m.Msg.To, To: m.Msg.From, Term: m.Msg.Term}
	switch m.Msg.GetType() {
	case raftpb.MsgApp:
		if told, ok := w.told[m.Shard]; ok && now < told+retryMin {
			return
		}
		w.told[m.Shard] = now
		answer.Type, answer.Index = raftpb.MsgAppResp.Enum(), m.Msg.Index
		answer.Reject, answer.RejectHint = new(true), new(uint64(0))
		answer.LogTerm = new(uint64(0))
	case raftpb.MsgHeartbeat:
		answer.Type = raftpb.MsgHeartbeatResp.Enum()
	default:
		return
	}
	w.send(from, wire.Message{Raft: &wire.Raft{Shard: m.Shard, Msg: answer}})
}

// Offer asks whether a snapshot that another node begins to send is of use.
// The error says why not; a leader whose replica has all of it hears so.
func (w *Worker) Offer(h *wire.SnapshotHeader) error {
	desc, err := placement.DecodeDescriptor(h.Descriptor)
	if err != nil {
		return err
	}
	if desc.Shard != h.Shard || w.cfg.Place.Of(h.Shard) != w.cfg.Place.Index {
		return kv.Invalid("snapshot: its descriptor is of shard %v, not of %v", desc.Shard, h.Shard)
	}
	if r, ok := w.replicas[h.Shard]; ok {
		if !r.Wants(h) {
			r.Decline(h)
			return fmt.Errorf("%w: the snapshot of shard %v is not needed", kv.ErrInvalid, h.Shard)
		}
		return nil
	}
	self, ok := desc.On(w.cfg.Node)
	if !ok || self.Incarnation != w.cfg.Incarnation || uint64(self.ID) != h.Msg.GetTo() {
		return fmt.Errorf("%w: shard %v names no replica here", kv.ErrInvalid, h.Shard)
	}
	return nil
}

// Restore takes a snapshot that arrived whole, and the ingest with it. A
// replica that is not there yet is made now.
func (w *Worker) Restore(now wire.Instant, h *wire.SnapshotHeader, in engine.Ingest) error {
	if err := w.Offer(h); err != nil {
		return joinAbort(err, in)
	}
	r, ok := w.replicas[h.Shard]
	if !ok {
		desc, err := placement.DecodeDescriptor(h.Descriptor)
		if err != nil {
			return joinAbort(err, in)
		}
		if r, err = replica.Create(w.replicaConfig(h.Shard), desc); err != nil {
			return joinAbort(err, in)
		}
		w.add(r)
	}
	r.Restore(now, h, in)
	return nil
}

func joinAbort(err error, in engine.Ingest) error {
	if abortErr := in.Abort(); abortErr != nil {
		return fmt.Errorf("%w; and the ingest was not aborted: %v", err, abortErr)
	}
	return err
}

// Sent ends a stream that Effects asked for.
func (w *Worker) Sent(h *wire.SnapshotHeader, ok bool) {
	if r, here := w.replicas[h.Shard]; here {
		r.Sent(kv.ReplicaID(h.Msg.GetTo()), ok)
	}
}
