// Package transport carries messages and snapshots between the nodes of a
// cluster over TCP.
//
// It owns the connections, the handshake that decides who may talk, the
// queues before them and the framing on them. It does not know what messages
// mean: a Handler takes them in. Only package node uses it; the simulator has
// a network of its own.
//
//	Send ─▶ queue of a peer ─▶ sender ─ one frame for all that waits ─▶ TCP ─▶ reader ─▶ Receive
//	SendSnapshot ─────────────▶ a connection of its own, chunk by chunk ─────▶ Snapshot
//
// Each node dials each other, and sends on the connections that it dialled
// only: one in each direction. So messages of all shards, heartbeats too,
// that wait for one node share a frame, a system call and a checksum.
//
// Where the link between two nodes is cut, their connections lead through a third, which
// passes bytes and looks at none of them:
//
//	connect ─▶ hello ForRelay ─▶ relay of a third node ─▶ accept: a handshake as any, …
//
// Invariants:
//
//  1. Nothing of a peer is taken before both sides have checked the other's
//     protocol version, cluster, node id and data formats, and the Handler has agreed.
//  2. Messages from one node to another arrive in the order sent, each at
//     most once. Any may be lost: the queue is bounded, a broken connection
//     takes along what was written to it, and a peer that is down gets nothing.
//  3. A message reported by Lost, or counted as dropped by Send, never
//     arrives. Nothing is known of one that is reported by neither.
//  4. What a peer can make a node allocate is bounded by Limits.
//  5. Every goroutine belongs to the Transport, and Close waits for it.
//
// docs/wire-format.md describes the bytes.
package transport
