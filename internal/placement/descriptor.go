package placement

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"go.etcd.io/raft/v3/raftpb"
)

// Replica is a shard's copy on a node.
type Replica struct {
	ID   kv.ReplicaID `json:"id"`
	Node kv.NodeID    `json:"node"`
	// Incarnation is that of the node's directory which the copy is in; 0
	// stands for the directory that the node founded the cluster with.
	Incarnation kv.Incarnation `json:"incarnation,string"`
	Learner     bool           `json:"learner,omitempty"`
}

// Descriptor is what a shard knows of itself; it changes only by entries of
// the shard's own log, and is stored beside the shard's data.
type Descriptor struct {
	Shard kv.ShardID `json:"shard"`
	// Start and End bound the shard's keys; a nil End is no bound. The
	// system shard has no keys and both nil.
	Start []byte `json:"start,omitempty"`
	End   []byte `json:"end,omitempty"`
	// RangeEpoch grows with every change of the range, MemberEpoch with
	// every change of the replicas.
	RangeEpoch  uint64    `json:"range_epoch"`
	MemberEpoch uint64    `json:"member_epoch"`
	Replicas    []Replica `json:"replicas"`
	// Nodes are those that should hold a replica.
	Nodes       []kv.NodeID  `json:"nodes"`
	NextReplica kv.ReplicaID `json:"next_replica"`
	// Preferred is the node that should lead while it is well.
	Preferred kv.NodeID `json:"preferred"`
}

// NewDescriptor is the first descriptor of a map's shard. Replica ids are
// 1, 2, … in the order of the shard's nodes.
func NewDescriptor(s Shard) Descriptor {
	d := Descriptor{
		Shard: s.ID, Start: s.Range.Start, End: s.Range.End,
		RangeEpoch: s.Epoch, MemberEpoch: 1,
		Nodes: s.Nodes, Preferred: s.Nodes[0],
	}
	for i, node := range s.Nodes {
		d.Replicas = append(d.Replicas, Replica{ID: kv.ReplicaID(i + 1), Node: node})
	}
	d.NextReplica = kv.ReplicaID(len(s.Nodes) + 1)
	return d
}

// Range is the shard's range of keys.
func (d *Descriptor) Range() kv.Range { return kv.Range{Start: d.Start, End: d.End} }

// On is the replica on a node.
func (d *Descriptor) On(node kv.NodeID) (Replica, bool) {
	for _, r := range d.Replicas {
		if r.Node == node {
			return r, true
		}
	}
	return Replica{}, false
}

// Replica is the replica with an id.
func (d *Descriptor) Replica(id kv.ReplicaID) (Replica, bool) {
	for _, r := range d.Replicas {
		if r.ID == id {
			return r, true
		}
	}
	return Replica{}, false
}

// Voters counts the replicas that vote.
func (d *Descriptor) Voters() int {
	n := 0
	for _, r := range d.Replicas {
		if !r.Learner {
			n++
		}
	}
	return n
}

// ConfState is the Raft configuration that d stands for.
func (d *Descriptor) ConfState() *raftpb.ConfState {
	cs := &raftpb.ConfState{}
	for _, r := range d.Replicas {
		if r.Learner {
			cs.Learners = append(cs.Learners, uint64(r.ID))
		} else {
			cs.Voters = append(cs.Voters, uint64(r.ID))
		}
	}
	return cs
}

// Without is d after the removal of a replica.
func (d *Descriptor) Without(id kv.ReplicaID) Descriptor {
	next := *d
	next.MemberEpoch++
	next.Replicas = slices.DeleteFunc(slices.Clone(d.Replicas), func(r Replica) bool {
		return r.ID == id
	})
	return next
}

// WithLearner is d with a new learner on a node, whose id is d.NextReplica.
func (d *Descriptor) WithLearner(node kv.NodeID, inc kv.Incarnation) Descriptor {
	next := *d
	next.MemberEpoch++
	next.NextReplica++
	next.Replicas = append(slices.Clone(d.Replicas), Replica{
		ID: d.NextReplica, Node: node, Incarnation: inc, Learner: true,
	})
	return next
}

// WithVoter is d after the promotion of a learner.
func (d *Descriptor) WithVoter(id kv.ReplicaID) Descriptor {
	next := *d
	next.MemberEpoch++
	next.Replicas = slices.Clone(d.Replicas)
	for i := range next.Replicas {
		if next.Replicas[i].ID == id {
			next.Replicas[i].Learner = false
		}
	}
	return next
}

// WithPreferred is d with another node that should lead.
func (d *Descriptor) WithPreferred(node kv.NodeID) Descriptor {
	next := *d
	next.MemberEpoch++
	next.Preferred = node
	return next
}

// Validate checks invariants 2 and 3, and that somebody votes.
func (d *Descriptor) Validate() error {
	seen := map[kv.NodeID]bool{}
	for _, r := range d.Replicas {
		switch {
		case r.ID == 0 || r.ID >= d.NextReplica:
			return fmt.Errorf("%w: shard %v: replica id %d is outside 1 to %d",
				kv.ErrCorrupt, d.Shard, r.ID, d.NextReplica-1)
		case seen[r.Node]:
			return fmt.Errorf("%w: shard %v has two replicas on %v", kv.ErrCorrupt, d.Shard, r.Node)
		}
		seen[r.Node] = true
	}
	if d.Voters() == 0 {
		return fmt.Errorf("%w: shard %v has no voter", kv.ErrCorrupt, d.Shard)
	}
	return nil
}

// Encode is d as it is stored. Descriptors are few and change seldom, so they
// are JSON, which `miruvor check` and a person can read.
func (d *Descriptor) Encode() []byte {
	data, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("placement: a descriptor always encodes: %v", err))
	}
	return data
}

// DecodeDescriptor reads what Encode wrote and validates it.
func DecodeDescriptor(data []byte) (Descriptor, error) {
	var d Descriptor
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%w: shard descriptor: %v", kv.ErrCorrupt, err)
	}
	return d, d.Validate()
}

// EncodeShard is a map's entry as the system shard stores it.
func EncodeShard(s Shard) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("placement: a map entry always encodes: %v", err))
	}
	return data
}

// DecodeShard reads what EncodeShard wrote.
func DecodeShard(data []byte) (Shard, error) {
	var s Shard
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%w: shard map entry: %v", kv.ErrCorrupt, err)
	}
	return s, nil
}
