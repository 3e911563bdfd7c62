package kv

import "context"

// Store is the whole of Miruvor as a protocol sees it. A node, a remote
// client and a fake implement it and pass one conformance suite.
//
// All methods block until done or until ctx ends, and are safe for concurrent
// use. Requests are not modified, and must stay unmodified: an error may come before
// whoever carries a request out has done with its bytes. The caller owns responses.
//
// Every answer is strictly serializable unless Serializable was asked for: an
// answer reflects every write that was answered before the request began.
// An error that wraps ErrUncertain means that a write may or may not have
// happened; with any other error it has not happened and never will.
type Store interface {
	// Range reads. It returns ErrCompacted, ErrFutureRevision, ErrInvalid,
	// ErrNoLeader, ErrTimeout or ErrTooManyRequests.
	Range(ctx context.Context, req RangeRequest) (RangeResponse, error)

	// Txn evaluates and writes atomically, whatever shards its keys lie in;
	// a lone put or delete is a Txn of one operation. It returns what Range
	// does, ErrKeyNotFound, ErrDuplicateKey, ErrLeaseNotFound, ErrTooManyOps,
	// ErrTooLarge, ErrConflict if others got in its way too often, and
	// ErrUncertain when the outcome is unknown.
	Txn(ctx context.Context, req TxnRequest) (TxnResponse, error)

	// Compact forgets what only reads below a revision could see, in the
	// whole cluster, and returns the current revision. Once it returned,
	// every read and watch below is refused. It returns ErrCompacted for a
	// revision that is not above the last compaction's, and ErrFutureRevision
	// for one above the current. Space comes back later, in the background.
	Compact(ctx context.Context, rev Revision) (Revision, error)

	// Watch opens a stream of watches. It ends with ctx. It returns
	// ErrTooManyRequests and ErrStopped.
	Watch(ctx context.Context) (WatchStream, error)

	// LeaseGrant makes a lease. It returns ErrLeaseExists,
	// ErrLeaseTTLTooLarge, ErrInvalid, and what Txn returns when there is no
	// leader.
	LeaseGrant(ctx context.Context, req LeaseGrantRequest) (Lease, error)
	// LeaseRevoke ends a lease and deletes its keys at one revision, which it
	// returns; the current one if there were none. ErrLeaseNotFound.
	LeaseRevoke(ctx context.Context, id LeaseID) (Revision, error)
	// LeaseKeepAlive begins the time to live anew. It returns
	// ErrLeaseNotFound for a lease that is not there or has expired.
	LeaseKeepAlive(ctx context.Context, id LeaseID) (Lease, error)
	// LeaseTimeToLive tells how much time a lease has left, with its keys if
	// they are asked for. ErrLeaseNotFound.
	LeaseTimeToLive(ctx context.Context, id LeaseID, keys bool) (Lease, error)
	// Leases lists all leases.
	Leases(ctx context.Context) (LeaseList, error)

	// Status describes the node and what it knows of its cluster. It is
	// local and does not wait for a leader.
	Status(ctx context.Context) (Status, error)
}

// Put is a Txn of one put.
func Put(ctx context.Context, s Store, req PutRequest) (TxnResponse, error) {
	return s.Txn(ctx, TxnRequest{Success: []Op{{Put: &req}}})
}

// Delete is a Txn of one delete.
func Delete(ctx context.Context, s Store, req DeleteRequest) (TxnResponse, error) {
	return s.Txn(ctx, TxnRequest{Success: []Op{{Delete: &req}}})
}

// Status is what a node knows of itself and its cluster.
type Status struct {
	Cluster ClusterID `json:"cluster_id,string"`
	Node    NodeID    `json:"node_id"`
	Name    string    `json:"name"`
	Version string    `json:"version"`
	// Revision is the highest that the node has seen.
	Revision Revision `json:"revision"`
	Ready    bool     `json:"ready"`
	// Waiting says what the node waits for while it is not ready.
	Waiting string        `json:"waiting,omitempty"`
	Nodes   []NodeStatus  `json:"nodes"`
	Storage StorageStatus `json:"storage"`
	// Alarms are those that the node knows of.
	Alarms []Alarm       `json:"alarms,omitempty"`
	Shards []ShardStatus `json:"shards"`
}

// NodeStatus is a node of the cluster as another sees it.
type NodeStatus struct {
	ID        NodeID `json:"id"`
	Name      string `json:"name"`
	Peer      string `json:"peer"`
	Client    string `json:"client"`
	Connected bool   `json:"connected"`
	// Via is the node through which it is reached, 0 if there is no detour.
	Via NodeID `json:"via,omitempty"`
}

// ShardStatus is a shard as one of its replicas sees it.
type ShardStatus struct {
	ID ShardID `json:"id"`
	// Start and End bound the shard's keys; a nil End is no bound.
	Start []byte `json:"start"`
	End   []byte `json:"end"`
	// Leader is the node that leads, 0 if none is known.
	Leader  NodeID `json:"leader"`
	Term    uint64 `json:"term"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	// Revision is the last that this replica applied.
	Revision Revision `json:"revision"`
	// Replicas is filled by the shard's leader alone.
	Replicas []ReplicaStatus `json:"replicas,omitempty"`
}

// ReplicaStatus is a replica as its leader sees it.
type ReplicaStatus struct {
	ID      ReplicaID `json:"id"`
	Node    NodeID    `json:"node"`
	Learner bool      `json:"learner"`
	// Match is the last log index known to be saved there; Lag is how many
	// entries the leader's log is ahead of it.
	Match uint64 `json:"match"`
	Lag   uint64 `json:"lag"`
}
