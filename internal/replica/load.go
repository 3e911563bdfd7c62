package replica

import "github.com/miruvor/miruvor/internal/kv"

// Load is what waits in a replica, and what it keeps.
type Load struct {
	// Requests counts the transactions and reads that are not answered yet;
	// TxnBytes are roughly those of the transactions.
	Requests int
	TxnBytes int
	// LogBytes are those of the shard's entries in the log.
	LogBytes int64
	// Locks counts the transactions over several shards that hold keys here,
	// LockWaiters what waits for them. Settled were given up here, as their
	// primary, since the replica was opened: their coordinators were silent.
	Locks, LockWaiters int
	Settled            int64
	// Remembered counts the keys whose newest version is kept in memory.
	Remembered int
	// Leading reports whether this replica leads and serves.
	Leading bool
	// Compacted is the compaction floor, and Sweeping says that there is
	// something to delete below it. Swept is up to where a sweep has come to its
	// end since the replica was opened: it lags where the floor is not closed yet
	// or somebody reads below it. SweptVersions with SweptBytes were deleted
	// since the replica was opened.
	Compacted, Swept          kv.Revision
	Sweeping                  bool
	SweptVersions, SweptBytes int64
}

// Load describes the replica's queues. It is cheap.
func (r *Replica) Load() Load {
	return Load{
		Requests: r.queue.len() + r.reads.len(), TxnBytes: r.queue.bytes,
		LogBytes: r.cfg.Log.Bytes(), Locks: len(r.locks.order), Leading: r.role.serving,
		LockWaiters: len(r.locks.waiting) + len(r.queue.blocked) + len(r.reads.blocked),
		Settled:     r.locks.settled, Remembered: r.recent.Len(),
		Compacted: r.state.compacted, Sweeping: r.floors.sweep.busy,
		Swept:         r.floors.sweep.ended(),
		SweptVersions: r.floors.sweep.versions, SweptBytes: r.floors.sweep.bytes,
	}
}
