package worker

import (
	"log/slog"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// Place says which worker of a node this is: Index of Count.
type Place struct {
	Index, Count int
}

// Of is the index of the worker that serves a shard.
func (p Place) Of(shard kv.ShardID) int { return int(shard) % p.Count }

// Owner is the index of the worker that a request id belongs to.
func Owner(id uint64) int { return int(id >> 56) }

// Config is what a worker needs to live.
type Config struct {
	Place Place
	Node  kv.NodeID
	// Incarnation is what the node's replicas carry, 0 on a founder.
	Incarnation kv.Incarnation
	Engine      engine.Engine
	Log         *raftlog.Log
	// Map is the shard map to begin with.
	Map      placement.Map
	Timing   replica.Timing
	Bounds   replica.Bounds
	ReadMode replica.ReadMode
	// AutoCompaction says when the cluster compacts itself.
	AutoCompaction AutoCompaction
	// OracleWindow is how far the mark of revisions runs ahead.
	OracleWindow oracle.Window
	// Restarted says that the node may have voted before.
	Restarted bool
	Mutant    mutant.Mutant
	Logger    *slog.Logger
}

// callsMax and callsBytesMax bound the requests that a worker holds for its
// clients.
const (
	callsMax      = 20_000
	callsBytesMax = 256 << 20
)

// Pauses between tries.
const (
	retryMin = wire.Instant(10 * time.Millisecond)
	retryMax = wire.Instant(100 * time.Millisecond)
	// legTimeout is how long a read waits for an answer before it asks again.
	// Each time a range waits twice as long, up to legDoublingsMax times.
	legTimeout      = wire.Instant(time.Second)
	legDoublingsMax = 3
	// oracleTimeout is the same for the oracle, whom everybody waits for.
	oracleTimeout = wire.Instant(300 * time.Millisecond)
)

// Request is a client's: exactly one of Txn, Range, Compact, Lease and Alarm is set.
// They were validated.
type Request struct {
	// ID comes back in the Reply. It is the caller's and not zero.
	ID    uint64
	Txn   *kv.TxnRequest
	Range *kv.RangeRequest
	// Compact raises the compaction floor of the cluster.
	Compact *wire.Compact
	// Lease asks the system shard about a lease; LeaseKeys has it told with the
	// keys on it.
	Lease     *wire.Lease
	LeaseKeys bool
	// Alarm lists the alarms of the cluster, or changes one.
	Alarm *wire.Alarm
	// Deadline is when the client gives up.
	Deadline wire.Instant
}

// Reply answers a Request.
type Reply struct {
	ID        uint64
	Txn       *kv.TxnResponse
	Range     *kv.RangeResponse
	Compacted *wire.Compacted
	Lease     *wire.LeaseResponse
	Alarms    *wire.Alarms
	Err       error
}

// Effects are what a pass wants done, in any order, but Saves in theirs. The
// slices are the worker's and valid until the next pass.
type Effects struct {
	Sends   []replica.Send
	Saves   []replica.Save
	Streams []replica.Stream
	Replies []Reply
	// Observed is a revision that the oracle told, to be passed on to the
	// node's other workers; 0 for none.
	Observed kv.Revision
	// Standing is what is known of the system shard, if that is news; nil else.
	// Only the worker that serves the system shard tells.
	Standing *Standing
}
