// Package kv is Miruvor's vocabulary: the nouns every other package speaks,
// the Store interface that protocols are written against, and the sentinel
// errors that all layers share.
//
// It owns no behaviour beyond small helpers on its own types and imports
// nothing of the project. The data model is etcd's (etcd.io/docs, "Data
// model"): a flat, ordered, multi-version key space in which every write
// transaction has one revision, and revisions order all writes of a cluster.
package kv

import (
	"bytes"
	"fmt"
)

// Revision orders every write in a cluster. A fresh cluster is at revision 1,
// the first write makes 2. Zero means "not set" (in a request: the latest).
// Revisions stay below 2^53 so that JSON numbers hold them exactly.
type Revision int64

// FirstRevision is the revision of a cluster that nobody has written to.
const FirstRevision Revision = 1

// RevisionMax is the highest revision there can ever be.
const RevisionMax Revision = 1<<53 - 1

// ShardID names a shard: one range of the key space, replicated by one Raft
// group. Shard 0 is the system shard and holds no user keys.
type ShardID uint32

// SystemShard holds the node registry, the shard map and the oracle's mark.
const SystemShard ShardID = 0

// NodeID names a process of the cluster. It is never zero.
type NodeID uint64

// ReplicaID is a replica's identity inside its Raft group. Within a shard it
// only ever grows and is never used twice. It is never zero.
type ReplicaID uint64

// ClusterID tells clusters apart; nodes of different clusters never talk.
type ClusterID uint64

// Incarnation is drawn at random when a node's data directory is created, so
// a node that lost its directory is told from the one that wrote it.
type Incarnation uint64

func (r Revision) String() string    { return fmt.Sprintf("r%d", int64(r)) }
func (s ShardID) String() string     { return fmt.Sprintf("s%d", uint32(s)) }
func (n NodeID) String() string      { return fmt.Sprintf("n%d", uint64(n)) }
func (c ClusterID) String() string   { return fmt.Sprintf("%016x", uint64(c)) }
func (i Incarnation) String() string { return fmt.Sprintf("%016x", uint64(i)) }

// Range is the half-open interval [Start, End) of keys, in byte order.
// A nil or empty Start is the first key. A nil End means "no upper bound".
type Range struct {
	Start, End []byte
}

// PointRange is the range that holds exactly key. It copies key.
func PointRange(key []byte) Range {
	buf := make([]byte, len(key)+1)
	copy(buf, key)
	return Range{Start: buf[:len(key):len(key)], End: buf}
}

// PrefixRange is the range of all keys that begin with prefix. The prefix is
// not copied as Start.
func PrefixRange(prefix []byte) Range {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return Range{Start: prefix, End: end[:i+1]}
		}
	}
	return Range{Start: prefix}
}

// Contains reports whether key lies in r.
func (r Range) Contains(key []byte) bool {
	return bytes.Compare(key, r.Start) >= 0 && (r.End == nil || bytes.Compare(key, r.End) < 0)
}

// ContainsRange reports whether every key of o lies in r.
func (r Range) ContainsRange(o Range) bool {
	if bytes.Compare(o.Start, r.Start) < 0 {
		return false
	}
	return r.End == nil || (o.End != nil && bytes.Compare(o.End, r.End) <= 0)
}

// Overlaps reports whether some key lies in both.
func (r Range) Overlaps(o Range) bool {
	return !r.Intersect(o).Empty()
}

// Intersect is the range of the keys that lie in both.
func (r Range) Intersect(o Range) Range {
	out := r
	if bytes.Compare(o.Start, out.Start) > 0 {
		out.Start = o.Start
	}
	if out.End == nil || (o.End != nil && bytes.Compare(o.End, out.End) < 0) {
		out.End = o.End
	}
	return out
}

// Empty reports whether r holds no key at all.
func (r Range) Empty() bool {
	return r.End != nil && bytes.Compare(r.Start, r.End) >= 0
}

// IsPoint reports whether r holds exactly one key.
func (r Range) IsPoint() bool {
	n := len(r.Start)
	return len(r.End) == n+1 && r.End[n] == 0 && bytes.Equal(r.End[:n], r.Start)
}

// String prints r as [start, end) with quoted keys; ∞ stands for no bound.
func (r Range) String() string {
	if r.End == nil {
		return fmt.Sprintf("[%q, ∞)", r.Start)
	}
	return fmt.Sprintf("[%q, %q)", r.Start, r.End)
}

// KeyValue is one version of a key.
type KeyValue struct {
	Key   []byte
	Value []byte
	// CreateRevision is that of the put that made the key, ModRevision that
	// of this version: CreateRevision <= ModRevision.
	CreateRevision Revision
	ModRevision    Revision
	// Version counts the puts since creation, from 1.
	Version int64
	// Lease is the id of the lease the key hangs on, 0 for none.
	Lease LeaseID
}
