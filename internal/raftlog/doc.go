// Package raftlog is the durable log that all Raft groups of a node share. It
// is the node's only write-ahead log: the engine applies without syncing.
//
// It owns the files of one directory and, in memory, an index of every live
// entry plus a bounded cache of recent ones. It knows nothing of what entries
// mean. docs/disk-format.md has the bytes and the recovery rules.
//
//	Submit ─▶ Writer ─▶ Append ─▶ ┌────────────┬────────────┬──────────────┐
//	          one Sync for all    │ 7.log dead │ 8.log      │ 9.log (head) │
//	                              └─────┬──────┴─────┬──────┴──────────────┘
//	                           recycled as 10.log    │ live tails are
//	Group.Entries ◀─ cache ◀─ index ◀────────────────┘ rewritten to the head
//
// A segment is a file of batches, a batch is what one write put there, and a
// batch holds records, each of one shard. Segments die strictly in order, the
// oldest first. That makes deletion simple: a record that overrides older ones
// (a reset, a tombstone, a newer entry at the same index) may go whenever its
// turn comes, since everything that it overrides went before.
//
// Append, Sync, Remove and Close take turns: they are for the one Writer, or
// for the simulator's single thread. A Group may be read and truncated from
// any goroutine at any time.
//
// Invariants:
//
//  1. A Record is on disk whole or not at all.
//  2. Segments floor..head all exist, and each but the head is on stable
//     storage up to the end that its successor's header states.
//  3. A segment is reused only when no group's state needs it, and after a
//     header that says so is on stable storage.
//  4. Bytes below an offset that some batch, or the note beside the segments, calls
//     synced are never given up: if they fail their checks, Open refuses.
package raftlog
