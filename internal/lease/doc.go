// Package lease counts down the time of leases, on the node that leads the
// system shard.
//
// It owns the deadlines, and what the log has to know of them. It is a pure
// state machine: package worker, its only caller, tells it the time, takes
// records to the log, answers clients, and carries expiries out.
//
//	Grant, Renew, Attach, Revoke, Advance ──> Lessor ──Take──> records in the log
//
// What the Lessor knows is ahead of the log: what it has changed goes into the
// next batch of records. Each method tells the number of the batch that has to
// be applied before anybody may hear of its outcome. A new leader loads what
// its log says, and forgets the rest.
//
// A deadline stands in memory alone. So that a new leader knows about how much
// time is left, what is left is noted in the log every now and then (a
// checkpoint): each second, or each tenth of the time to live if that is longer.
// A renewal needs the log only if there was a checkpoint since the last one.
//
// Invariants:
//
//  1. A lease lives at least as long as it was promised, by the clock of
//     whoever leads: a new leader never counts from less than the log says,
//     and nobody hears of a renewal before the log says the full time.
//  2. Nothing happens to a lease whose time is up before the log says that it
//     is being revoked; so a deposed leader ends none.
//  3. What is being revoked comes to its end.
//  4. No two leases share id and life, and the later one has the higher life.
package lease
