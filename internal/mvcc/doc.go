// Package mvcc gives keys their versions: it reads at a revision, evaluates a
// transaction into its effect, applies effects, and lists history.
//
// It owns the meaning of a transaction, which is etcd's ("KV API guarantees",
// etcd.io/docs), and nothing of how an effect is replicated, numbered or
// locked: package replica does that, and it is the only caller that writes.
//
// A transaction is evaluated once, by the leader, over three layers:
//
//	own writes    of the transaction itself
//	Overlay       proposals in flight, in the order of the log
//	engine        what was applied
//
// The upper layer hides the lower ones. What comes out is an Evaluation: the
// answer, and the writes that make the state so. The writes travel through the
// log (AppendWrites, DecodeWrites) and every replica applies them as they are.
//
// A write gets its revision from the oracle, which may take longer than its
// evaluation. Until then it stands under a provisional revision, greater than
// every real one; Overlay.Number and Evaluation.Resolve put the real one in
// its place.
//
// Invariants:
//
//  1. No transaction writes a key twice, so a key and a revision name one
//     version.
//  2. The versions of a key alternate between lives: puts that share one
//     Create, equal to the revision of the first, with Version 1, 2, 3 and so
//     on, then at most one tombstone.
//  3. Every version has one entry in the history of its shard. The entries of
//     one revision, in all shards, are numbered from 0. Check verifies 2 and,
//     within a shard, 3.
//  4. The lease index lists the keys whose newest version hangs on a lease, and
//     no others. Check verifies it.
//  5. No provisional revision reaches the log or the engine.
package mvcc
