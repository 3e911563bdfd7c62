package replica

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// state is what a replica keeps in the engine beside its data. It changes
// only together with the data (invariant 4).
type state struct {
	applied keyspace.Applied
	desc    placement.Descriptor
	// mark is the oracle's, in the system shard only.
	mark kv.Revision
	// compacted is the floor of what can be read, 0 for none.
	compacted kv.Revision
	// alarms are those of the cluster, in the system shard only.
	alarms keyspace.Alarms
}

// ErrNoState means that the engine holds nothing of a shard.
var ErrNoState = errors.New("replica: no state in the engine")

// loadState reads a shard's state, ErrNoState if there is none.
func loadState(r engine.Reader, shard kv.ShardID) (state, error) {
	var s state
	data, err := r.Get(keyspace.MetaKey(nil, shard, keyspace.KindDescriptor))
	if errors.Is(err, engine.ErrNotFound) {
		return s, ErrNoState
	}
	if err != nil {
		return s, fmt.Errorf("shard %v: descriptor: %w", shard, err)
	}
	if s.desc, err = placement.DecodeDescriptor(data); err != nil {
		return s, fmt.Errorf("shard %v: %w", shard, err)
	}
	if data, err = r.Get(keyspace.MetaKey(nil, shard, keyspace.KindApplied)); err != nil {
		return s, fmt.Errorf("shard %v: applied state: %w", shard, err)
	}
	if s.applied, err = keyspace.ParseApplied(data); err != nil {
		return s, fmt.Errorf("shard %v: %w", shard, err)
	}
	if s.mark, err = loadRevision(r, shard, keyspace.KindOracle); err != nil {
		return s, err
	}
	if s.compacted, err = loadRevision(r, shard, keyspace.KindCompacted); err != nil {
		return s, err
	}
	s.alarms, err = loadAlarms(r, shard)
	return s, err
}

func loadRevision(r engine.Reader, shard kv.ShardID, kind keyspace.Kind) (kv.Revision, error) {
	data, err := r.Get(keyspace.MetaKey(nil, shard, kind))
	if errors.Is(err, engine.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("shard %v: metadata %q: %w", shard, kind, err)
	}
	a, err := keyspace.ParseApplied(data)
	return a.Revision, err
}

// Bootstrap writes the first state of a shard into b: an empty shard at index
// 1 of term 1, at the first revision. Every founder of the cluster writes the same.
func Bootstrap(b engine.Batch, desc placement.Descriptor) error {
	return bootstrap(b, desc, kv.FirstRevision)
}

// BootstrapAt writes the first state of a shard that begins with a backup, as
// Bootstrap does: everything happened below rev, of which nothing can be read.
// All of the shard's keys and leases are written beside it.
func BootstrapAt(b engine.Batch, desc placement.Descriptor, rev kv.Revision) error {
	floor := keyspace.Applied{Index: 1, Term: 1, Revision: rev}
	if err := putApplied(b, desc.Shard, keyspace.KindCompacted, floor); err != nil {
		return err
	}
	return bootstrap(b, desc, rev)
}

func bootstrap(b engine.Batch, desc placement.Descriptor, rev kv.Revision) error {
	first := keyspace.Applied{Index: 1, Term: 1, Revision: rev}
	if err := putApplied(b, desc.Shard, keyspace.KindApplied, first); err != nil {
		return err
	}
	if desc.Shard == kv.SystemShard {
		if err := putApplied(b, desc.Shard, keyspace.KindOracle, first); err != nil {
			return err
		}
	}
	return putDescriptor(b, desc)
}

func putApplied(b engine.Batch, s kv.ShardID, kind keyspace.Kind, a keyspace.Applied) error {
	return b.Set(keyspace.MetaKey(nil, s, kind), keyspace.AppendApplied(nil, a))
}

func putDescriptor(b engine.Batch, d placement.Descriptor) error {
	return b.Set(keyspace.MetaKey(nil, d.Shard, keyspace.KindDescriptor), d.Encode())
}

// storage is raft's view of what is stable: entries from the shared log, the
// rest from the replica's state.
type storage struct {
	*raftlog.Group
	r *Replica
	// hard is the state to begin with.
	hard *raftpb.HardState
}

var _ raft.Storage = (*storage)(nil)

// InitialState implements raft.Storage.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return s.hard, s.r.state.desc.ConfState(), nil
}

// Snapshot implements raft.Storage. It describes the engine as of now; the data
// itself is streamed when raft's message goes out.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) {
	return s.r.snapshotMeta(), nil
}

// recoverLog brings a shard's log in line with its engine state after a
// restart. A snapshot is installed in the engine first, so the engine may be
// ahead of the log: then the log begins anew behind it. The term of the
// applied entry proves that this replica never voted in it with an older term
// on disk, so raising the term forgets no vote.
func recoverLog(g *raftlog.Group, s state) (*raftlog.Record, *raftpb.HardState, error) {
	hard := g.HardState()
	first, _ := g.FirstIndex()
	if s.applied.Index+1 < first {
		return nil, nil, fmt.Errorf("%w: shard %v: the log begins at index %d, "+
			"but the engine has applied only up to %d", kv.ErrCorrupt, s.desc.Shard, first,
			s.applied.Index)
	}
	fixed := &raftpb.HardState{
		Term: new(hard.GetTerm()), Vote: new(hard.GetVote()), Commit: new(hard.GetCommit()),
	}
	last, _ := g.LastIndex()
	term, err := g.Term(s.applied.Index)
	var reset *raftlog.Record
	if last < s.applied.Index || err != nil || term != s.applied.Term {
		reset = &raftlog.Record{
			Shard: s.desc.Shard,
			Reset: &raftlog.Position{Index: s.applied.Index, Term: s.applied.Term},
			Hard:  fixed,
		}
		last = s.applied.Index
	}
	if fixed.GetTerm() < s.applied.Term {
		fixed.Term, fixed.Vote = new(s.applied.Term), new(uint64(0))
	}
	fixed.Commit = new(min(max(fixed.GetCommit(), s.applied.Index), last))
	return reset, fixed, nil
}
