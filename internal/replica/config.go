package replica

import (
	"log/slog"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// ReadMode is how a leader makes sure that it still leads before it answers
// a read.
type ReadMode uint8

const (
	// ReadLease trusts the lease, and so that clocks drift less than bounded.
	ReadLease ReadMode = iota
	// ReadQuorum asks a quorum each time and trusts no clock.
	ReadQuorum
)

// Timing sets the pace. The lease must end before a voter may elect another:
// Lease is shorter than ElectionTicks ticks.
type Timing struct {
	// ElectionTicks is how many ticks without a leader make a follower
	// campaign (up to twice that, at random); HeartbeatTicks how many lie
	// between two heartbeats.
	ElectionTicks, HeartbeatTicks int
	// Lease is for how long a voter that acknowledged a heartbeat refuses to
	// vote. Drift is how much of it the leader gives away for the case that
	// its clock is the slower one.
	Lease, Drift time.Duration
	// RequestTimeout is how long a request may wait here at most.
	RequestTimeout time.Duration
	// KeepOutcomes is how long the primary shard of a transaction tells what became
	// of it: several times as long as a coordinator is asked to wait, so that none of
	// its messages is under way. What other shards have not confirmed is kept for longer.
	KeepOutcomes time.Duration
}

// Bounds are the limits on what a replica holds in memory and in the log.
type Bounds struct {
	// QueueMax bounds the requests that wait, QueueBytesMax their bytes.
	QueueMax, QueueBytesMax int
	// UnderWayBytesMax bounds what is on its way through the log, but for one
	// transaction.
	UnderWayBytesMax int
	// EntryBytesMax is the size at which a batch is split into entries.
	EntryBytesMax int
	// EffectBytesMax bounds what one transaction may change: a delete of a
	// range is small as a request, but its effect names every key.
	EffectBytesMax int
	// AnswerBytesMax bounds what one request returns or deletes, so that an
	// answer fits in memory and in a message to another node.
	AnswerBytesMax int
	// PartKeysMax is how many keys of a range are looked at in one go, which takes some
	// milliseconds: heartbeats must not wait for a reader. TurnBytesMax is how much
	// answers may come to in one go, but for the last of them: neither heartbeats nor
	// memory can bear what many may ask for at the same moment.
	PartKeysMax, TurnBytesMax int
	// LogKeepEntries are kept behind the applied index for slow followers,
	// as long as the shard's log is smaller than LogKeepBytes.
	LogKeepEntries uint64
	LogKeepBytes   int64
	// RingBytesMax bounds the last events of a shard that are kept in memory
	// while somebody is fed with them; with 0 all come from the history.
	RingBytesMax int
	// RecentBytesMax bounds the newest versions that are kept in memory, and
	// RecentValueBytesMax the value of each: a longer one is read from the engine.
	RecentBytesMax, RecentValueBytesMax int
}

// recent are the bounds of the versions in memory.
func (b *Bounds) recent() mvcc.RecentBounds {
	return mvcc.RecentBounds{
		BytesMax: b.RecentBytesMax, ValueBytesMax: b.RecentValueBytesMax,
	}
}

// logWindowBytes is how far the log runs ahead of a follower that acknowledges nothing.
const logWindowBytes = 8 << 20

// DefaultBounds are the limits of a real node.
func DefaultBounds() Bounds {
	return Bounds{
		QueueMax: 5000, QueueBytesMax: 64 << 20, UnderWayBytesMax: logWindowBytes,
		EntryBytesMax:  1 << 20,
		EffectBytesMax: 8 << 20, AnswerBytesMax: 8 << 20,
		PartKeysMax: 10_000, TurnBytesMax: 1 << 20,
		LogKeepEntries: 10_000, LogKeepBytes: 32 << 20,
		RingBytesMax: 4 << 20, RecentBytesMax: 16 << 20, RecentValueBytesMax: 64 << 10,
	}
}

// DefaultTiming is that of a real node with ticks of 50 ms.
func DefaultTiming() Timing {
	return Timing{
		ElectionTicks: 12, HeartbeatTicks: 2,
		Lease: 500 * time.Millisecond, Drift: 50 * time.Millisecond,
		RequestTimeout: 5 * time.Second, KeepOutcomes: 50 * time.Second,
	}
}

// Config is what a replica needs to live.
type Config struct {
	Shard       kv.ShardID
	Node        kv.NodeID
	Incarnation kv.Incarnation // of the replicas' entries: 0 on a founder
	Engine      engine.Engine
	Log         *raftlog.Group
	Timing      Timing
	Bounds      Bounds
	ReadMode    ReadMode
	// Restarted says that this replica may have promised a lease in an
	// earlier life.
	Restarted bool
	// Alone says that no other shard has keys: the leader gives revisions itself
	// (Number), and nobody calls Want, Asked and Numbered.
	Alone  bool
	Mutant mutant.Mutant
	Logger *slog.Logger
}

// Origin is who asked: a node and the request's id there.
type Origin struct {
	Node kv.NodeID
	ID   uint64
}

// Answer is a response on its way to its origin.
type Answer struct {
	Node     kv.NodeID
	Response wire.Response
}

// Send is a message on its way to another node.
type Send struct {
	To      kv.NodeID
	Message wire.Message
}

// Save is what a replica needs on stable storage. The worker hands it to the
// log in the order of the saves, and calls Saved once it is there.
type Save struct {
	Replica *Replica
	Record  raftlog.Record
	// Install, if not nil, is a snapshot to commit before the record.
	Install engine.Ingest
}

// Stream is a snapshot to send to another node: everything that View holds in
// the shard's spans. Whoever carries it out closes View.
type Stream struct {
	To     kv.NodeID
	Header wire.SnapshotHeader
	View   engine.Snapshot
	Range  kv.Range
}

// Output gathers what replicas want done. The worker first commits Batch,
// then calls Committed on the replicas that applied something, and then sees to the rest
// in any order; Saves keep theirs.
type Output struct {
	Batch   engine.Batch
	Sends   []Send
	Saves   []Save
	Answers []Answer
	Streams []Stream
	// Attaches are requests to the system shard; Attached follows each.
	Attaches []Attach
	Asks     []Ask
}

// pendingSave remembers what raft wants to hear after a Save.
type pendingSave struct {
	responses []*raftpb.Message
	installed bool
}
