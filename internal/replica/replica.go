package replica

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Replica is one shard's copy. See the package documentation.
type Replica struct {
	cfg    Config
	id     kv.ReplicaID
	log    *slog.Logger
	raft   *raft.RawNode
	state  state
	recent *mvcc.Recent
	role   role
	lease  lease
	queue  queue
	reads  reads
	closed closing
	snaps  snapshots
	member membership
	duties
}

// duties are what a replica does beside reading and writing.
type duties struct {
	locks  locks
	floors floors
	feeds  feeds
	leases leases
	alarms alarms
	// held says that writes wait: see Hold.
	held bool
}

// role is what Raft made of this replica.
type role struct {
	term uint64
	// lead is the leader of the term, 0 if unknown.
	lead kv.ReplicaID
	// leader says that it is this replica, serving that it has also applied
	// an entry of its own term (invariant 1).
	leader, serving bool
	// unapplied are the entries taken from raft in this Ready, applied in the
	// batch but not yet committed with it.
	unapplied []*raftpb.Message
	// restored counts the snapshots on their way into the engine; nothing is
	// read meanwhile.
	restoring int
	// acked is what the leader was told last, since the last tick.
	acked ack
	// kept is the hard state that was saved last, or is about to be.
	kept ballot
	// saves are under way to stable storage, in their order.
	saves []pendingSave
}

// ack tells a leader up to where the log is saved here.
type ack struct{ to, term, index uint64 }

// ballot is a term, whom this replica voted for in it, and up to where the log is
// committed. It is owed to the log while the last of them was not saved.
type ballot struct {
	term, vote, commit uint64
	owed               bool
}

func (b *ballot) hardState() *raftpb.HardState {
	return &raftpb.HardState{Term: new(b.term), Vote: new(b.vote), Commit: new(b.commit)}
}

// Held reports whether the engine holds a replica of a shard that is this
// node's.
func Held(e engine.Reader, shard kv.ShardID, node kv.NodeID, inc kv.Incarnation) (bool, error) {
	st, err := loadState(e, shard)
	if errors.Is(err, ErrNoState) {
		return false, nil
	}
	self, ok := st.desc.On(node)
	return ok && self.Incarnation == inc, err
}

// Recover brings a shard's log in line with its engine state. The record, if
// there is one, must be on stable storage before Open.
func Recover(cfg Config) (*raftlog.Record, error) {
	st, err := loadState(cfg.Engine, cfg.Shard)
	if err != nil {
		return nil, err
	}
	rec, _, err := recoverLog(cfg.Log, st)
	return rec, err
}

// Open revives a replica from its state in the engine, after Recover. It
// returns ErrNoState if the engine holds no replica that is this node's.
func Open(cfg Config, now wire.Instant) (*Replica, error) {
	st, err := loadState(cfg.Engine, cfg.Shard)
	if err != nil {
		return nil, err
	}
	self, ok := st.desc.On(cfg.Node)
	if !ok || self.Incarnation != cfg.Incarnation {
		return nil, fmt.Errorf("%w: shard %v has no replica here", ErrNoState, cfg.Shard)
	}
	_, hard, err := recoverLog(cfg.Log, st)
	if err != nil {
		return nil, err
	}
	applied := st.applied.Index
	if cfg.Mutant == mutant.ApplyTwice {
		first, _ := cfg.Log.FirstIndex()
		applied = max(first-1, applied-min(applied, 3))
	}
	r := newReplica(cfg, self.ID, st)
	if cfg.Restarted && st.desc.Voters() > 1 && cfg.Mutant != mutant.ForgetVote {
		r.lease.promise(now, cfg.Timing.Lease)
	}
	return r, r.start(hard, applied)
}

// Create makes an empty replica for a snapshot that is about to be restored;
// without one it is nothing. desc must list the replica (invariant 6 of the
// design: nothing else creates one).
func Create(cfg Config, desc placement.Descriptor) (*Replica, error) {
	self, ok := desc.On(cfg.Node)
	if !ok || self.Incarnation != cfg.Incarnation {
		return nil, fmt.Errorf("%w: shard %v: the snapshot names no replica here",
			ErrNoState, cfg.Shard)
	}
	r := newReplica(cfg, self.ID, state{desc: placement.Descriptor{Shard: cfg.Shard}})
	return r, r.start(&raftpb.HardState{}, 0)
}

func newReplica(cfg Config, id kv.ReplicaID, st state) *Replica {
	r := &Replica{
		cfg: cfg, id: id, state: st,
		log: cfg.Logger.With(
			"shard", cfg.Shard, "replica", uint64(id)),
		recent: mvcc.NewRecent(cfg.Bounds.recent(), st.applied.Revision),
		queue:  queue{overlay: mvcc.NewOverlay()}, duties: duties{locks: newLocks()},
	}
	if cfg.Mutant == mutant.StaleRecent {
		r.recent.Spoil()
	}
	r.floors.sweep.restart(st.compacted)
	return r
}

func (r *Replica) start(hard *raftpb.HardState, applied uint64) error {
	var err error
	r.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        uint64(r.id),
		ElectionTick:              r.cfg.Timing.ElectionTicks,
		HeartbeatTick:             r.cfg.Timing.HeartbeatTicks,
		Storage:                   &storage{Group: r.cfg.Log, r: r, hard: hard},
		Applied:                   applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  1 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          logWindowBytes,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		DisableProposalForwarding: true,
		Logger:                    raftLogger{r.log},
	})
	if err != nil {
		return fmt.Errorf("shard %v: %w", r.cfg.Shard, err)
	}
	r.role.term = hard.GetTerm()
	r.role.kept = ballot{
		term: hard.GetTerm(), vote: hard.GetVote(), commit: hard.GetCommit(),
	}
	if err := errors.Join(r.loadLocks(), r.loadMarks()); err != nil {
		return err
	}
	r.closed.applied(min(r.state.applied.Ordered, r.lowestLock()))
	return nil
}

// Shard is the replica's shard.
func (r *Replica) Shard() kv.ShardID { return r.cfg.Shard }

// ID is the replica's id in its group.
func (r *Replica) ID() kv.ReplicaID { return r.id }

// Descriptor is the shard's, as of the applied index. It must not be changed.
func (r *Replica) Descriptor() *placement.Descriptor { return &r.state.desc }

// Applied is the last entry applied and the revision that the shard is at.
func (r *Replica) Applied() keyspace.Applied { return r.state.applied }

// Term is Raft's current term.
func (r *Replica) Term() uint64 { return r.role.term }

// Leading reports whether this replica leads, and has applied an entry of its term.
func (r *Replica) Leading() bool { return r.role.serving }

// Leader is the node that leads as far as is known, 0 if none is.
func (r *Replica) Leader() kv.NodeID {
	lead, ok := r.locate(r.role.lead)
	if !ok {
		return 0
	}
	return lead.Node
}

// Campaign makes the replica stand for election at once. It serves a cluster
// that starts, where nobody has to be waited for.
func (r *Replica) Campaign() {
	if err := r.raft.Campaign(); err != nil {
		r.log.Debug("campaign failed", "error", err)
	}
}

// Tick tells that one tick has passed. It drives elections and heartbeats, and
// what the leader does from time to time.
func (r *Replica) Tick(now wire.Instant, out *Output) {
	r.raft.Tick()
	r.role.acked = ack{}
	r.expire(now, out)
	r.expireFeeds(now, out)
	if r.role.leader {
		r.tend(now)
		r.tendLocks(now, out)
	}
}

// Receive takes a message of another replica, which is on a node.
func (r *Replica) Receive(now wire.Instant, node kv.NodeID, m *wire.Raft) {
	msg := m.Msg
	from := kv.ReplicaID(msg.GetFrom())
	r.member.meet(&r.state.desc, from, node)
	switch msg.GetType() {
	case raftpb.MsgSnap, raftpb.MsgProp:
		return // snapshots are streamed, proposals never forwarded
	case raftpb.MsgVote, raftpb.MsgPreVote:
		if r.refuseVote(now, msg) {
			return
		}
	case raftpb.MsgHeartbeat:
		if msg.GetTerm() >= r.role.term {
			r.lease.heard(now, from, m.Stamp, r.cfg.Timing.Lease)
			r.closed.heard(m.Closed, m.ClosedIndex)
		}
	case raftpb.MsgHeartbeatResp:
		if r.role.leader && msg.GetTerm() == r.role.term {
			r.lease.acked(from, m.Stamp)
		}
	}
	if err := r.raft.Step(msg); err != nil {
		r.log.Debug("message not taken", "type", msg.GetType(), "from", from, "error", err)
	}
}

// Unreachable tells that messages to a node are lost.
func (r *Replica) Unreachable(node kv.NodeID) {
	if !r.role.leader {
		return
	}
	if to, ok := r.state.desc.On(node); ok {
		r.raft.ReportUnreachable(uint64(to.ID))
	}
}

// Status describes the replica; only a leader fills Replicas.
func (r *Replica) Status() kv.ShardStatus {
	basic := r.raft.BasicStatus()
	st := kv.ShardStatus{
		ID: r.cfg.Shard, Start: r.state.desc.Start, End: r.state.desc.End, Leader: r.Leader(),
		Term: basic.GetTerm(), Commit: basic.GetCommit(), Applied: r.state.applied.Index,
		Revision: r.state.applied.Revision,
	}
	if !r.role.leader {
		return st
	}
	last := r.lastIndex()
	for _, rep := range r.state.desc.Replicas {
		match := r.member.match(r.raft, rep.ID)
		st.Replicas = append(st.Replicas, kv.ReplicaStatus{
			ID: rep.ID, Node: rep.Node, Learner: rep.Learner,
			Match: match, Lag: last - min(match, last),
		})
	}
	return st
}

// lastIndex is, on a leader, the last index of its log: its own progress counts
// what is stable, so in-flight entries are not part of it.
func (r *Replica) lastIndex() uint64 {
	last, err := r.cfg.Log.LastIndex()
	if err != nil {
		return 0
	}
	return last
}

// broken stops the process: an invariant does not hold, and going on would
// spread the damage.
func (r *Replica) broken(index uint64, format string, args ...any) {
	panic(fmt.Sprintf("replica: shard %v, term %d, index %d: %s", r.cfg.Shard, r.role.term, index,
		fmt.Sprintf(format, args...)))
}
