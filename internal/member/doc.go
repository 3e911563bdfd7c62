// Package member decides what a node's data directory makes of the node, so
// that a voter that lost its log never votes as the voter that it was.
//
// It owns the node's durable identity, its memory of the peers' incarnations,
// and the greetings by which nodes tell each other. It is a pure state machine
// over the engine: messages and ticks in, messages out.
//
// A directory is created with a random incarnation. A new directory is
// undecided: the node votes in nothing and holds no replica. It greets its
// peers; each writes the incarnation down, durably, before it answers with the
// one that it had on record before:
//
//	undecided ──enough peers knew nothing──> founder      bootstraps its replicas
//	          ──a peer knew another one────> replacement  waits for snapshots
//
// Enough means: in every Raft group that the node is to vote in, so many of
// the others that each quorum which the node could have been part of in an
// earlier life holds one that was asked. With n members and quorum q these are
// n-q+1 others, so in a group of three both, and the first start of
// a cluster waits for all three of its nodes once.
//
// A cluster may begin with a backup. Then each directory was filled before its
// first start: a founder finds everything there, a replacement discards it, and
// whoever has an empty one can only become a replacement.
//
// Invariants:
//
//  1. A role is decided once, and is durable before anything rests on it.
//  2. A peer's incarnation is durable here before this node answers it.
//  3. A founder whose peers know another incarnation was replaced while it was
//     away: it must stop (ErrReplaced).
package member
