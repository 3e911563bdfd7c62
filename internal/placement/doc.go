// Package placement is the arithmetic of where keys and replicas live: pure
// functions on the shard map.
//
// It owns the Map (which shard holds which keys), the Descriptor (what one
// shard knows of its own range and members) and the rules that change them.
// It does no I/O; replicas store descriptors, the system shard stores the map.
//
// Invariants, checked by Map.Validate and Descriptor.Validate:
//
//  1. The ranges of a map's data shards tile the key space: they are sorted,
//     the first starts at the first key, each ends where the next starts, and
//     the last has no end.
//  2. Within a shard, replica ids only grow: NextReplica is above every id
//     that was ever given out.
//  3. A node holds at most one replica of a shard.
package placement
