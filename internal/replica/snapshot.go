package replica

import (
	"errors"
	"math"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// snapshots are those on their way, out of this replica and into it.
type snapshots struct {
	// sending holds the index of each under way, by receiver: the log is not
	// truncated above it.
	sending map[kv.ReplicaID]uint64
	// sent holds the index of each that arrived, until its receiver has
	// installed it and says so.
	sent map[kv.ReplicaID]uint64
	// received is complete but not yet installed; index is where it ends.
	received engine.Ingest
	index    uint64
}

// take hands the received snapshot over that ends at index.
func (s *snapshots) take(index uint64) engine.Ingest {
	in := s.received
	if s.index != index {
		return nil
	}
	s.received, s.index = nil, 0
	return in
}

// snapshotMeta describes the engine's state as of now.
func (r *Replica) snapshotMeta() *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: r.state.desc.ConfState(),
		Index:     new(r.state.applied.Index),
		Term:      new(r.state.applied.Term),
	}}
}

// stream turns raft's MsgSnap into a stream of the shard's state as of now.
func (r *Replica) stream(to placement.Replica, m *raftpb.Message, out *Output) {
	meta := r.snapshotMeta()
	if r.cfg.Mutant == mutant.SnapshotLate {
		meta.Metadata.Index = new(meta.GetMetadata().GetIndex() - 1)
	}
	head := &raftpb.Message{
		Type: raftpb.MsgSnap.Enum(), To: m.To, From: m.From, Term: m.Term, Snapshot: meta,
	}
	if r.snaps.sending == nil {
		r.snaps.sending = map[kv.ReplicaID]uint64{}
		r.snaps.sent = map[kv.ReplicaID]uint64{}
	}
	r.snaps.sending[to.ID] = meta.GetMetadata().GetIndex()
	r.log.Info("sends a snapshot", "to", to.Node, "index", meta.GetMetadata().GetIndex())
	out.Streams = append(out.Streams, Stream{
		To: to.Node,
		Header: wire.SnapshotHeader{
			Shard: r.cfg.Shard, Msg: head, Descriptor: r.state.desc.Encode(),
		},
		View:  r.cfg.Engine.NewSnapshot(),
		Range: r.state.desc.Range(),
	})
}

// Sent ends a stream: ok tells whether the receiver took it whole.
func (r *Replica) Sent(to kv.ReplicaID, ok bool) {
	index := r.snaps.sending[to]
	delete(r.snaps.sending, to)
	status := raft.SnapshotFailure
	if ok {
		status = raft.SnapshotFinish
		r.snaps.sent[to] = index
	}
	r.raft.ReportSnapshot(uint64(to), status)
}

// Wants reports whether a snapshot that is offered is of use here.
func (r *Replica) Wants(h *wire.SnapshotHeader) bool {
	index := h.Msg.GetSnapshot().GetMetadata().GetIndex()
	return h.Msg.GetTo() == uint64(r.id) && h.Msg.GetTerm() >= r.role.term &&
		index > r.state.applied.Index && r.snaps.received == nil && r.role.restoring == 0
}

// Decline answers a snapshot that is offered and holds nothing that is not applied here.
// Its leader believes this replica to be further back than it is, since acknowledgements
// got lost, and may have truncated the log from there on: raft tells it how far this
// replica is, and it goes on with entries. Without, it would offer snapshots for ever.
func (r *Replica) Decline(h *wire.SnapshotHeader) {
	index := h.Msg.GetSnapshot().GetMetadata().GetIndex()
	if h.Msg.GetTo() != uint64(r.id) || h.Msg.GetTerm() < r.role.term ||
		index > r.state.applied.Index || r.role.restoring > 0 {
		return
	}
	if err := r.raft.Step(h.Msg); err != nil {
		r.log.Debug("snapshot not declined", "error", err)
	}
}

// Restore takes a snapshot whose pairs are gathered in an ingest, and owns the
// ingest from then on. It is installed by a Save, if raft still wants it when
// it is asked in Ready.
func (r *Replica) Restore(now wire.Instant, h *wire.SnapshotHeader, in engine.Ingest) {
	if !r.Wants(h) {
		r.discard(in)
		return
	}
	r.snaps.received, r.snaps.index = in, h.Msg.GetSnapshot().GetMetadata().GetIndex()
	if err := r.raft.Step(h.Msg); err != nil {
		r.log.Warn("snapshot refused", "error", err)
	}
}

// dropReceived gives up a snapshot that raft did not want after all.
func (r *Replica) dropReceived() {
	if r.snaps.received != nil {
		r.discard(r.snaps.received)
		r.snaps.received, r.snaps.index = nil, 0
	}
}

func (r *Replica) discard(in engine.Ingest) {
	if err := in.Abort(); err != nil {
		r.log.Warn("snapshot not discarded", "error", err)
	}
}

// restored takes up the state that a snapshot brought.
func (r *Replica) restored(out *Output) {
	st, err := loadState(r.cfg.Engine, r.cfg.Shard)
	if err != nil {
		r.broken(0, "snapshot without state: %v", err)
	}
	r.role.restoring--
	r.state = st
	r.recent.Clear(st.applied.Revision)
	if err := errors.Join(r.loadLocks(), r.loadMarks()); err != nil {
		r.broken(st.applied.Index, "%v", err)
	}
	r.closed.applied(min(st.applied.Ordered, r.lowestLock()))
	r.floors.sweep.restart(st.compacted)
	r.feeds.restored(st.applied.Revision)
	for _, it := range r.queue.inflight {
		r.fail(it.origin, kv.ErrUncertain, out)
		r.queue.release(it)
	}
	r.queue.inflight = nil
	r.log.Info("restored from a snapshot", "index", st.applied.Index,
		"revision", st.applied.Revision)
}

// Truncate forgets the log that nobody needs: up to what the engine holds
// durably, less a tail for followers that lag.
func (r *Replica) Truncate(durable uint64) {
	if r.role.restoring > 0 {
		return // the engine may be ahead of the log, which begins anew behind it
	}
	b := r.cfg.Bounds
	upTo := durable
	if r.cfg.Log.Bytes() < b.LogKeepBytes {
		upTo -= min(upTo, b.LogKeepEntries)
	}
	for _, index := range r.snaps.sending {
		upTo = min(upTo, index)
	}
	if r.role.leader && r.cfg.Log.Bytes() < catchUpFactor*b.LogKeepBytes {
		upTo = min(upTo, r.followed())
	}
	if r.cfg.Mutant == mutant.TruncateTooFar {
		upTo = r.state.applied.Index
	}
	if first, err := r.cfg.Log.FirstIndex(); err == nil && upTo >= first {
		r.cfg.Log.Truncate(upTo)
	}
}

// catchUpFactor times LogKeepBytes is what the log may hold for followers that
// are well but behind. Beyond that a snapshot is cheaper.
const catchUpFactor = 8

// followed is the index up to which all followers have the log that were heard of
// lately. One that just received a snapshot goes on from where that ended:
// without what follows it would need the next snapshot, for as long as there is load.
func (r *Replica) followed() uint64 {
	upTo := uint64(math.MaxUint64)
	for _, rep := range r.state.desc.Replicas {
		if rep.ID == r.id || !r.heardOf(r.member.now, rep.ID) {
			continue
		}
		if match := max(r.member.match(r.raft, rep.ID), r.snaps.sent[rep.ID]); match > 0 {
			upTo = min(upTo, match)
		}
	}
	return upTo
}
