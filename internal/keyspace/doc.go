// Package keyspace gives every byte in the engine its meaning: it builds and
// parses the keys, and encodes the values that several packages read.
//
// It owns encodings and nothing else: no reading, no writing, no state. Any
// package above may call it. Numbers in keys are big-endian, so that bytewise
// order is numeric order; BE32 and BE64 say how wide.
//
//	key                                     value
//	01 'n'                                  the node's identity
//	01 'p' node:BE64                        the last incarnation seen of a peer
//	02 shard:BE32 'a'                       Applied: index, term, revision
//	02 shard:BE32 'd'                       the shard's descriptor
//	02 shard:BE32 'c'                       the compaction floor
//	02 shard:BE32 'p' node:BE64 seq:BE64    a transaction over shards that holds keys
//	02 shard:BE32 't' node:BE64 seq:BE64    what became of one
//	02 0:BE32 'o'                           the oracle's high-water mark
//	02 0:BE32 'r' node:BE64                 the node registry
//	02 0:BE32 'm' shard:BE32                the shard map
//	02 0:BE32 'w'                           Alarms: what is to be looked into
//	02 0:BE32 'l' lease:BE64                LeaseRecord: a lease
//	02 shard:BE32 'l' lease:BE64            LeaseMark: what a data shard knows of a lease
//	04 esc(key) ^revision:BE64              Version: one version of a user key
//	05 shard:BE32 revision:BE64 sub:BE32    the user key that was written
//	06 shard:BE32 lease:BE64 esc(key)       nothing: the key hangs on the lease
//
// In space 04 the versions of a key lie together, the newest first, because
// the revision is complemented. In space 05 the writes of a shard lie in the
// order in which they happened; sub is the place of a write inside its
// transaction, from 0. Space 06 lists the keys whose newest version names a
// lease, by lease.
//
// Invariants:
//
//  1. esc keeps order: bytes.Compare(esc(a), esc(b)) == bytes.Compare(a, b).
//  2. esc is prefix free: no esc(a) begins with esc(b) unless a equals b. So
//     everything that begins with esc(a) belongs to a.
//  3. User keys do not name their shard, so moving a boundary between shards
//     moves no byte of the space 04.
//  4. Parsers accept any bytes: they return an error that wraps
//     kv.ErrCorrupt, and never panic. What they accept is exactly what the
//     builders build: every state has one encoding.
//
// Builders append to the buffer that they are given and return it, as the
// builtin append does; nil is an empty buffer.
package keyspace
