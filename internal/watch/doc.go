// Package watch is a node's end of all watches: a pure state machine that asks
// replicas for events, merges them by revision, and hands them to those who
// wait.
//
// It owns streams, watches, and the requests that serve them. It has no
// goroutine, clock or socket: inputs are methods of Hub, Pass then returns what
// is to be done. Package node runs one on a goroutine, the simulator in virtual
// time. One goroutine uses a Hub.
//
//	replicas ──Fed──> reader ──merge──> group ──index──> watches ──> streams
//	   ^                │                                   │
//	   └─────Feed───────┘        chase <──too slow, or from the past
//
// A reader follows some shards. It asks a replica of each for the events after
// what it has, one request at a time, and hands on what all of its shards have
// told completely: the lowest of their closed revisions is its watermark. A shard that
// lags behind the events of another is asked to close theirs; so idle shards
// say nothing, and an idle watch costs a request a second for each shard.
//
// The watches that span the same shards are a group and share a reader; an index
// finds those that an event concerns. A watch that begins in the past, or whose
// stream's queue is full, has a reader of its own, a chase, until it is level with
// its group. Few chases run at a time.
//
// Invariants:
//
//  1. A watch is told every event of its range once, in order, and whole
//     revisions only.
//  2. A watch that begins now begins after a revision that the oracle told after
//     the watch was added.
//  3. What waits is bounded: the events of a reader by what it asks for, a
//     stream's queue in bytes. A stream without room stops no other.
//  4. Events are shared by all who are told of them, and never changed.
//
// Source: DESIGN decision 6.
package watch
