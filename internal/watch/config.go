package watch

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// Owner marks the ids of a hub's requests in their top 8 bits, where others
// have the number of a worker.
const Owner = 255

// Owns reports whether a request or response with this id is a hub's.
func Owns(id uint64) bool { return id>>56 == Owner }

// Config is what a hub needs to live.
type Config struct {
	Node kv.NodeID
	// Map is the shard map.
	Map    placement.Map
	Limits kv.Limits
	Bounds Bounds
	// Began is when this life of the node began, by its own clock: answers to an
	// earlier one are told by it.
	Began wire.Instant
	// Mutant is a deliberate bug, for the simulator.
	Mutant mutant.Mutant
}

// Bounds are the limits on what a hub holds.
type Bounds struct {
	// WatchesMax bounds the watches of the node, StreamWatchesMax those of a
	// stream, StreamsMax the streams.
	WatchesMax, StreamWatchesMax, StreamsMax int
	// QueueBytesMax bounds what a stream has not taken yet, AllBytesMax the same
	// of all streams. One response is let in whatever its size.
	QueueBytesMax, AllBytesMax int
	// FeedBytesMax bounds an answer of a replica, PendingBytesMax what a reader
	// holds of a shard before it asks for more.
	FeedBytesMax, PendingBytesMax int
	// RecentBytesMax bounds the last events of a group, with which a watch that
	// is nearly level joins it.
	RecentBytesMax int
	// ChasesMax bounds the watches that catch up at a time.
	ChasesMax int
}

// DefaultBounds are the limits of a real node.
func DefaultBounds() Bounds {
	return Bounds{
		WatchesMax: 100_000, StreamWatchesMax: 20_000, StreamsMax: 20_000,
		QueueBytesMax: 1 << 20, AllBytesMax: 512 << 20,
		FeedBytesMax: 256 << 10, PendingBytesMax: 256 << 10, RecentBytesMax: 256 << 10,
		ChasesMax: 16,
	}
}

// ReportBytes is how many bytes a receiver may have taken without telling
// Consumed.
func (b *Bounds) ReportBytes() int { return b.QueueBytesMax / 4 }

// Pauses and patience of a hub.
const (
	// retryPause lies between two tries of a request that was refused.
	retryPause = wire.Instant(50 * time.Millisecond)
	// feedTimeout is how long an answer may take; a replica answers within a second.
	feedTimeout = wire.Instant(2500 * time.Millisecond)
	// oracleTimeout is the same for the oracle, whom everybody waits for.
	oracleTimeout = wire.Instant(300 * time.Millisecond)
	// checkEvery is how often groups have to come to what is current, although
	// nobody asks: a replica may be cut off, and not know that it lacks something.
	checkEvery = wire.Instant(2 * time.Second)
	// homeEvery is how often a shard's replica here is tried again after
	// another was asked instead.
	homeEvery = wire.Instant(10 * time.Second)
)

// batchBytes is at how many bytes of events a reader cuts what it hands on, so
// that a stream's queue fills in small steps.
const batchBytes = 128 << 10

// groupNarrowMax is up to how many watches a group is only interested in what
// lies between the first and the last key of theirs.
const groupNarrowMax = 8

// progressMax bounds the questions for progress that a stream waits for.
const progressMax = 1000
