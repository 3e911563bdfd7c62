// Package worker is one thread of a node: some of its replicas, and the
// clients' requests that were handed to it, as a pure state machine.
//
// It owns the routing of requests to shard leaders (calls and their legs), the
// demands on the oracle, and, where the system shard lives, the oracle itself
// and the compactions and the leases of the cluster.
// It has no goroutine, clock or socket: package node runs several workers on
// goroutines, the simulator runs whole clusters of them in one. Inputs are
// methods; Pass then settles everything and returns what is to be done.
//
//	client ──Submit──> call ──legs──> replica here, or Request to another node
//	                     ^                                   │
//	Reply <──────────────┴──────────── Response <────────────┘
//
// A shard is served by worker shard mod Count, on every node alike. Requests
// and answers between workers of one node travel as messages too.
//
// Invariants:
//
//  1. Every Submit gets exactly one Reply, at its deadline at the latest.
//  2. A write is sent a second time only if the first certainly did nothing.
//  3. now is read after the inputs of a pass were taken, so that a lease that
//     holds at now held when they arrived.
package worker
