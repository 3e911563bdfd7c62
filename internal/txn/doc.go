// Package txn coordinates transactions over several shards: what to lock and
// read in each, how the answer and the writes follow from what was read, and
// what to tell each shard in the end.
//
// It owns one try of one transaction and knows no time, node or message under
// way: package worker carries the requests and asks the oracle, package
// replica holds the locks.
//
//	New ──> Prepares ──> every shard locks its keys and reads them
//	                               │ Prepared
//	Evaluate <─────────────────────┘       the whole transaction, here, once
//	   │ a revision of the oracle, taken after all are prepared
//	Commit ──> the primary shard writes the record that decides
//	   │              └──> the primary tells the other shards
//	Response
//
// The protocol is a minitransaction (Aguilera et al., "Sinfonia", 2007) with
// Percolator's order: the revision is taken after the locks, so that whoever
// read at a higher revision has met them.
//
// Invariants:
//
//  1. The state evaluated in is that at the revision less one: what was read
//     stays as it is until the locks go.
//  2. A try is committed at most once, by its primary's record; without one it
//     had no effect.
//  3. Nothing is locked for a transaction that only reads. It reads all shards
//     at one revision.
package txn
