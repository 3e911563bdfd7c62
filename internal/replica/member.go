package replica

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// membership is what a leader does for its group from time to time: it
// replaces replicas whose node lost its directory, promotes learners that have
// caught up, and hands leadership to where it belongs.
type membership struct {
	// peers are the incarnations that nodes run with now, 0 for a founder.
	peers map[kv.NodeID]kv.Incarnation
	// ticks counts since the term began; transfers those that were begun.
	ticks     int
	transfers int
	// offered says that the system shard should be led elsewhere; its worker
	// sees to the oracle first, and then calls Give.
	offered bool
	// wish is the move to another node that somebody asked for.
	wish wish
	// now is when the last tick was.
	now wire.Instant
	// strangers are replicas that spoke to this one and are newer than its
	// descriptor, by node. A follower that slept through changes has to answer
	// its leader before it can learn of them.
	strangers map[kv.ReplicaID]kv.NodeID
}

// strangersMax is far more than the members of a shard.
const strangersMax = 16

// meet remembers where a replica is that a descriptor does not name.
func (m *membership) meet(d *placement.Descriptor, id kv.ReplicaID, node kv.NodeID) {
	if id < d.NextReplica {
		return // it is named, or was removed
	}
	if m.strangers == nil || len(m.strangers) >= strangersMax {
		m.strangers = map[kv.ReplicaID]kv.NodeID{}
	}
	m.strangers[id] = node
}

// locate is where to send to a replica.
func (r *Replica) locate(id kv.ReplicaID) (placement.Replica, bool) {
	if rep, ok := r.state.desc.Replica(id); ok {
		return rep, true
	}
	node, ok := r.member.strangers[id]
	return placement.Replica{ID: id, Node: node}, ok
}

func (m *membership) lead() {
	m.ticks, m.transfers, m.offered, m.wish = 0, 0, false, wish{}
}

// SetPeer tells the incarnation of another node's directory.
func (r *Replica) SetPeer(node kv.NodeID, inc kv.Incarnation) {
	if r.member.peers == nil {
		r.member.peers = map[kv.NodeID]kv.Incarnation{}
	}
	r.member.peers[node] = inc
}

// tend is called on a leader at every tick.
func (r *Replica) tend(now wire.Instant) {
	r.member.now = now
	r.member.ticks++
	if !r.role.serving || r.tendWish(now) ||
		r.member.ticks%r.cfg.Timing.ElectionTicks != 0 {
		return
	}
	if change, desc, ok := r.nextChange(now); ok {
		r.proposeChange(change, desc)
		return
	}
	r.giveToPreferred(now)
}

// nextChange is the next step towards the members that the shard should have.
// Steps change one replica each, so that no joint configuration is needed.
func (r *Replica) nextChange(now wire.Instant) (*raftpb.ConfChange, placement.Descriptor, bool) {
	d := &r.state.desc
	for _, rep := range d.Replicas {
		inc, known := r.member.peers[rep.Node]
		switch {
		case rep.ID == r.id:
		case known && inc != rep.Incarnation:
			return change(raftpb.ConfChangeRemoveNode, rep.ID), d.Without(rep.ID), true
		case rep.Learner && r.caughtUp(now, rep.ID):
			return change(raftpb.ConfChangeAddNode, rep.ID), d.WithVoter(rep.ID), true
		}
	}
	for _, node := range d.Nodes {
		inc, known := r.member.peers[node]
		if _, ok := d.On(node); !ok && known && node != r.cfg.Node {
			next := d.WithLearner(node, inc)
			return change(raftpb.ConfChangeAddLearnerNode, d.NextReplica), next, true
		}
	}
	return nil, placement.Descriptor{}, false
}

func change(kind raftpb.ConfChangeType, id kv.ReplicaID) *raftpb.ConfChange {
	return &raftpb.ConfChange{Type: kind.Enum(), NodeId: new(uint64(id))}
}

func (r *Replica) proposeChange(cc *raftpb.ConfChange, next placement.Descriptor) {
	cc.Context = next.Encode()
	if err := r.raft.ProposeConfChange(cc); err != nil {
		r.log.Debug("change of members not taken", "error", err)
	}
}

func unmarshalChange(data []byte, cc *raftpb.ConfChange) error {
	if err := proto.Unmarshal(data, cc); err != nil {
		return fmt.Errorf("%w: change of members: %v", kv.ErrCorrupt, err)
	}
	return nil
}

// caughtUp reports whether a replica answered of late, is being replicated to
// without a gap and lacks little. Raft's RecentActive is of no use here: it is
// cleared once per election timeout, and tend may run just after that each time.
func (r *Replica) caughtUp(now wire.Instant, id kv.ReplicaID) bool {
	if !r.heardOf(now, id) {
		return false
	}
	commit := r.raft.BasicStatus().GetCommit()
	ok := false
	r.raft.WithProgress(func(other uint64, _ raft.ProgressType, pr tracker.Progress) {
		if other == uint64(id) {
			ok = pr.State == tracker.StateReplicate && pr.Match+64 >= commit
		}
	})
	return ok
}

// heardOf reports whether a replica acknowledged a heartbeat of late.
func (r *Replica) heardOf(now wire.Instant, id kv.ReplicaID) bool {
	stamp := r.lease.acks[id]
	return stamp != 0 && now-stamp < wire.Instant(r.cfg.Timing.Lease)
}

// match is the last index known to be saved on a replica.
func (m *membership) match(rn *raft.RawNode, id kv.ReplicaID) uint64 {
	match := uint64(0)
	rn.WithProgress(func(other uint64, _ raft.ProgressType, pr tracker.Progress) {
		if other == uint64(id) {
			match = pr.Match
		}
	})
	return match
}

// giveToPreferred hands leadership to the node that should have it, at most
// once a term and not in its first moments.
func (r *Replica) giveToPreferred(now wire.Instant) {
	d := &r.state.desc
	if d.Preferred == r.cfg.Node || r.member.transfers > 0 ||
		r.member.ticks < 5*r.cfg.Timing.ElectionTicks {
		return
	}
	to, ok := d.On(d.Preferred)
	if !ok || to.Learner {
		r.member.offered = false
		return
	}
	r.giveTo(now, to)
}

// giveTo hands leadership to a voter if it is well. That of the system shard is
// only offered, until the oracle is ready.
func (r *Replica) giveTo(now wire.Instant, to placement.Replica) {
	switch {
	case !r.caughtUp(now, to.ID):
		r.member.offered = false
	case r.cfg.Shard == kv.SystemShard:
		r.member.offered = true
	default:
		r.transfer(to)
	}
}

// Offers reports whether the system shard, led here, should be led by its
// preferred node. Give hands it over.
func (r *Replica) Offers() bool { return r.role.serving && r.member.offered }

// Give ends an offer.
func (r *Replica) Give() {
	m := &r.member
	m.offered = false
	to, ok := r.state.desc.On(r.state.desc.Preferred)
	if ok && (m.transfers == 0 || m.wish.to == to.Node) {
		r.transfer(to)
	}
}

// Giving reports whether a transfer of the leadership is under way.
func (r *Replica) Giving() bool { return r.raft.BasicStatus().LeadTransferee != 0 }

// transfer offers leadership to another voter. The lease goes first, for the
// rest of the term: the chosen one may be elected in spite of promises.
func (r *Replica) transfer(to placement.Replica) {
	r.member.transfers++
	r.lease.barred = true
	r.log.Info("offers leadership", "to", to.Node, "term", r.role.term)
	r.raft.TransferLeader(uint64(to.ID))
}

// Handover offers leadership to the voter that is best prepared, because this
// node stops. It reports whether there was anything to hand over.
func (r *Replica) Handover(now wire.Instant) bool {
	if !r.role.leader || r.state.desc.Voters() == 1 {
		return false
	}
	if r.member.transfers > 0 && r.raft.BasicStatus().LeadTransferee != 0 {
		return true
	}
	var best placement.Replica
	var match uint64
	for _, rep := range r.state.desc.Replicas {
		m := r.member.match(r.raft, rep.ID)
		if rep.ID != r.id && !rep.Learner && r.caughtUp(now, rep.ID) && m >= match {
			best, match = rep, m
		}
	}
	if best.ID != 0 {
		r.transfer(best)
	}
	return best.ID != 0
}
