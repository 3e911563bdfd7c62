// Package wire is what nodes say to each other.
//
// It owns the messages and their encoding, which is written by hand: the
// bytes of one MsgApp are most of what a cluster sends, and generated code
// costs several times as much for them (docs/decisions/0002). The scheme is in
// encoding.go, all field numbers in docs/wire-format.md. Decoders accept
// any bytes: they return ErrMalformed, never panic, and never allocate more
// than a small multiple of their input. Who sends what, and when, is the
// business of packages replica and worker; how it travels, of transport.
package wire

import (
	"github.com/miruvor/miruvor/internal/kv"
	raftpb "go.etcd.io/raft/v3/raftpb"
)

// Instant is a moment on one node's own steady clock, in nanoseconds from an
// arbitrary start. Instants of different nodes have nothing to do with each other.
type Instant int64

// Message is one thing said from a node to a node: exactly one field is set.
// A message is immutable once sent.
type Message struct {
	Raft     *Raft
	Request  *Request
	Response *Response
	Greeting *Greeting
}

// Raft is a message between two replicas of a shard. MsgSnap never travels
// this way: snapshots are streamed (see SnapshotHeader).
type Raft struct {
	Shard kv.ShardID
	// Msg carries everything that raft needs; From and To are ReplicaIDs.
	Msg *raftpb.Message
	// Stamp is, in a heartbeat, when the leader sent it by its own clock,
	// and in the response to it the same number handed back. It feeds the
	// leader's lease. 0 is no stamp.
	Stamp Instant
	// Closed, in a heartbeat, promises that a replica that has applied up
	// to ClosedIndex in this term holds every write with a revision at or
	// below Closed. 0 is no promise.
	Closed      kv.Revision
	ClosedIndex uint64
	// Allocated, in a heartbeat of the system shard, is the last revision
	// that the oracle handed out. 0 is unknown.
	Allocated kv.Revision
}

// Request asks the leader of a shard, or with Serializable reads any replica,
// for something. Exactly one of the fields after Shard is set.
type Request struct {
	// ID is the sender's, and comes back in the Response. Its top 8 bits
	// name the sender's worker.
	ID    uint64
	Shard kv.ShardID
	Txn   *kv.TxnRequest
	Range *RangeAt
	// Oracle asks the system shard for revisions.
	Oracle  *OracleRequest
	Gather  *Gather
	Prepare *Prepare
	Decide  *Decide
	Resolve *Resolve
	Settle  *Settle
	Feed    *Feed
	Close   *Close
	Lease   *Lease
	Upkeep
}

// RangeAt is a range read at a revision that the sender took from the oracle
// after its own request arrived; At is 0 when the shard's leader is to take
// one.
type RangeAt struct {
	kv.RangeRequest
	At kv.Revision
}

// OracleRequest asks for Count new revisions; with Count 0 only for the last
// one handed out.
type OracleRequest struct {
	Count uint32
}

// Response answers the Request of the same ID. With Code OK exactly one of
// the others is set.
type Response struct {
	ID   uint64
	Code Code
	// Text details an error.
	Text string
	// Leader is, with CodeNotLeader, who leads as far as the sender knows.
	Leader   kv.NodeID
	Txn      *kv.TxnResponse
	Range    *kv.RangeResponse
	Oracle   *OracleResponse
	Gathered *Gathered
	Prepared *Prepared
	Outcome  *Outcome
	Fed      *Fed
	Closed   *Closed
	Lease    *LeaseResponse
	UpkeepResponse
}

// OracleResponse hands out the revisions Base, Base+1, … Base+Count-1, and
// tells that Base-1 was the last handed out before.
type OracleResponse struct {
	Base  kv.Revision
	Count uint32
	// Compacted is the cluster's compaction floor, 0 for none.
	Compacted kv.Revision
}

// MapRequest asks for the shard map.
type MapRequest struct{}

// MapResponse is the shard map, encoded by package placement.
type MapResponse struct {
	Data []byte
}

// Role is what a node's data directory makes of it.
type Role uint8

const (
	// RoleUndecided: the directory is new, and nobody has told yet whether
	// the node had another one before.
	RoleUndecided Role = iota
	// RoleFounder: the directory is the one that the cluster began with.
	RoleFounder
	// RoleReplacement: the directory took the place of a lost one. The node's
	// replicas are new ones.
	RoleReplacement
)

// Greeting tells a peer who runs here, every now and then. The answer has Reply set and
// hands Known back.
type Greeting struct {
	Node Node
	Role Role
	// Reply marks an answer. Known is, in an answer, the incarnation of the
	// receiver that the sender had on record before; 0 is none.
	Reply bool
	Known kv.Incarnation
}

// Node names a process of the cluster and where it is.
type Node struct {
	ID          kv.NodeID
	Incarnation kv.Incarnation
	Name        string
	// Peer and Client are the addresses (host:port) that others reach it at.
	Peer, Client string
}

// SnapshotHeader begins the stream of a shard's whole state to one replica.
// The engine's pairs in the shard's spans follow it.
type SnapshotHeader struct {
	Shard kv.ShardID
	// Msg is the MsgSnap that raft wants delivered: metadata without data.
	Msg *raftpb.Message
	// Descriptor is the shard's encoded placement.Descriptor: it names the
	// replica that the stream is meant for.
	Descriptor []byte
}
