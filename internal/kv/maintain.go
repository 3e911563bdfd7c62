package kv

import (
	"cmp"
	"context"
	"strconv"
)

// AlarmKind is what an alarm is about. The numbers are etcd's.
type AlarmKind uint8

const (
	// AlarmNoSpace: a node has no room for more. Puts and lease grants are
	// refused in the whole cluster until it is cleared (ErrNoSpace).
	AlarmNoSpace AlarmKind = 1
	// AlarmCorrupt: a node's data is damaged.
	AlarmCorrupt AlarmKind = 2
)

func (k AlarmKind) String() string {
	switch k {
	case AlarmNoSpace:
		return "no_space"
	case AlarmCorrupt:
		return "corrupt"
	}
	return strconv.Itoa(int(k))
}

// MarshalText implements encoding.TextMarshaler with the name of the kind.
func (k AlarmKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText undoes MarshalText. It returns ErrInvalid for what is no kind.
func (k *AlarmKind) UnmarshalText(text []byte) error {
	for _, known := range [...]AlarmKind{AlarmNoSpace, AlarmCorrupt} {
		if string(text) == known.String() {
			*k = known
			return nil
		}
	}
	return Invalid("alarm: kind %q is not one of %v, %v", text, AlarmNoSpace, AlarmCorrupt)
}

// Alarm is a state of a node that somebody has to look into. It stays until it
// is cleared.
type Alarm struct {
	Node NodeID    `json:"node"`
	Kind AlarmKind `json:"kind"`
}

// Compare orders alarms by node, then by kind.
func (a Alarm) Compare(b Alarm) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Kind, b.Kind))
}

// Check refuses an alarm that can't be one, with ErrInvalid.
func (a Alarm) Check() error {
	switch {
	case a.Node == 0:
		return Invalid("alarm: no node is named")
	case a.Kind != AlarmNoSpace && a.Kind != AlarmCorrupt:
		return Invalid("alarm: kind %d is not one of %d (no space), %d (corrupt)", a.Kind,
			AlarmNoSpace, AlarmCorrupt)
	}
	return nil
}

// Standing is what a node believes of itself and of the system shard.
type Standing struct {
	Cluster ClusterID
	Node    NodeID
	// Leader leads the system shard, 0 if none is known; Term is its term.
	Leader NodeID
	Term   uint64
}

// StorageStatus is how much a node has stored.
type StorageStatus struct {
	// Bytes is what the engine takes on disk, InUseBytes the part of it that
	// is not waiting to be given back.
	Bytes      int64 `json:"bytes"`
	InUseBytes int64 `json:"in_use_bytes"`
	// QuotaBytes is the most that Bytes may be, 0 if only the disk bounds it.
	QuotaBytes int64 `json:"quota_bytes"`
}

// Maintainer is what operators ask of a node. All methods are safe for
// concurrent use; those with a context block until done or until it ends.
type Maintainer interface {
	// Standing is local, cheap, and never blocks.
	Standing() Standing
	// Alarms lists the alarms of the cluster, by node and kind.
	Alarms(ctx context.Context) ([]Alarm, error)
	// RaiseAlarm and ClearAlarm are idempotent. They report whether they
	// changed anything.
	RaiseAlarm(ctx context.Context, a Alarm) (changed bool, err error)
	ClearAlarm(ctx context.Context, a Alarm) (changed bool, err error)
	// MoveLeader hands all that this node leads over to another and returns
	// once the other leads. ErrNotLeader if this node does not lead the system
	// shard, ErrBadTransferee if the other can't lead it.
	MoveLeader(ctx context.Context, to NodeID) error
}
