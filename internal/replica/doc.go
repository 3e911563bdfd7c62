// Package replica is one shard's copy on one node: a pure state machine over
// raft.RawNode.
//
// It owns the shard's part of the engine (versions, history, metadata), its
// Raft group, the leader's lease, the proposals in flight and the reads that
// wait for them. It has no goroutine, clock or socket: a worker hands it
// messages, requests, revisions and ticks together with the time, and carries
// out what it gathers in an Output. One goroutine uses a replica.
//
//	Submit ──> evaluate over the overlay ──> queue ──> Want/Asked (revisions)
//	                                           │
//	Numbered ──────────────────────────────────┴──> propose: one entry a batch
//	Ready ──> Sends, Saves (log), applied effects in the Batch
//	Saved ──> raft hears that its log is stable      Committed ──> answers, reads
//
// The life of a write: it is evaluated once, here, against the applied state
// and the writes before it that are still in flight; the effect, not the
// request, goes through the log; every replica applies the same bytes; the
// client is answered after the leader applied it. The life of a read: it takes
// a revision T after it arrived, waits for the overlapping writes in flight
// that could commit at or below T, reads at T, and is answered if the lease
// still holds.
//
// Invariants:
//
//  1. Only the leader that has applied an entry of its own term evaluates, so
//     its speculative state (engine plus overlay) is exactly the log's prefix.
//  2. Revisions in the log strictly increase; apply panics otherwise.
//  3. A proposal that raft drops leaves the overlay, with everything evaluated
//     after it, in the same step.
//  4. The applied index, the descriptor and the data change in one batch.
//  5. closed never decreases, and nothing commits at or below it.
//  6. What is at or below the compaction floor is swept by each replica on its
//     own, outside of the log, and never above closed: where a sweep was,
//     nothing is ever written again.
//  7. now is always a reading of the clock taken after the inputs of the step
//     were received; a lease that holds at now held when T was taken.
//
// Sources: Ongaro's thesis (Raft, 2014) 3.10, 6.4 and 9.6; DESIGN decisions 2,
// 4, 7 and 9 (docs/decisions).
package replica
