// Package node is one process of a cluster: it gives the pure workers below it
// threads, time, disk and network, and implements kv.Store and kv.Maintainer for
// the protocols above it.
//
// It owns the data directory, the clock, every goroutine of a running node and
// their order of starting and stopping. It holds no rule of its own about
// consistency: those live in packages replica, oracle, member and worker, which
// the simulator runs too.
//
//	Range, Txn ──> inbox ─┐                  ┌─> transport ──> peers
//	peers ──> transport ──┼─> thread: worker ┼─> writer (log, one fsync for all)
//	ticker ───────────────┤     one pass     ├─> snapshot streams
//	writer: saved ────────┘                  └─> waiting callers
//
// Goroutines: one thread a worker, the ticker, the one that looks how much room
// there is, the log's writer, those of the transport, and one a snapshot on its
// way. Stop waits for all of them.
//
// The directory:
//
//	node.json   who this is; read before anything else is touched
//	LOCK        held while a process uses the directory
//	engine/     Pebble
//	log/        the shared Raft log
package node
