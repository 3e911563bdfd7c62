package wire

import "github.com/miruvor/miruvor/internal/kv"

// TxnID names one try of a transaction over several shards: the node that
// coordinates it, and a number that no other try of that node has.
type TxnID struct {
	Node kv.NodeID
	Seq  uint64
}

// Lock is a range of keys that a transaction holds. Two locks on a key
// conflict if one of them writes.
type Lock struct {
	kv.Range
	Write bool
}

// Gather reads several ranges at once, all at one revision: At, or with At 0
// the latest. A read that names a revision of its own is read there. A read
// that fails is told so in its place; the others go on.
type Gather struct {
	At    kv.Revision
	Reads []kv.RangeRequest
}

// Gathered answers a Gather, in its order.
type Gathered struct {
	Parts []GatheredPart
}

// GatheredPart is the answer to one read, or why there is none.
type GatheredPart struct {
	Code  Code
	Text  string
	Range kv.RangeResponse
}

// Prepare locks a transaction's keys in one shard and reads what it is
// evaluated over. Preparing twice under one id is preparing once. An empty one
// takes nothing: it shows that the transaction still wants what it holds, and is
// answered with Outcome.
type Prepare struct {
	Txn TxnID
	// Primary is the shard whose record decides the transaction.
	Primary kv.ShardID
	Locks   []Lock
	Gather  Gather
	// Leases are those that puts of this shard hang keys on.
	Leases []kv.LeaseID
	// Wait has the request wait in line for locks that others hold. Who waits
	// holds locks in lower shards only, and who does not wait is refused, so
	// nobody waits in a circle.
	Wait bool
}

// Empty reports whether there is nothing to lock and nothing to read.
func (p *Prepare) Empty() bool { return len(p.Locks) == 0 && len(p.Gather.Reads) == 0 }

// Prepared answers a Prepare.
type Prepared struct {
	// Token tells this prepare from a later one under the same id. It is not 0.
	Token    uint64
	Gathered Gathered
	// Missing are the Leases that the shard was not told of, or that are being closed
	// there, and such of what was read.
	Missing []kv.LeaseID
}

// Decide asks the primary shard to commit a prepared transaction. Asking
// twice is asking once. It is answered with Outcome.
type Decide struct {
	Txn TxnID
	// Token is that of the primary's prepare.
	Token uint64
	// Revision is the transaction's, Effect its writes in the primary shard,
	// Others those in the other shards that are prepared. Effects are encoded
	// by package mvcc.
	Revision kv.Revision
	Effect   []byte
	Others   []Part
}

// Part is what a transaction does to one shard.
type Part struct {
	Shard  kv.ShardID
	Token  uint64
	Effect []byte
}

// Resolve tells a shard what became of a transaction that it prepared, or
// may have. The shard forgets its locks, if Token is that of its prepare, or 0
// for any; after a commit it first takes the effect. It is answered with
// Outcome.
type Resolve struct {
	Txn      TxnID
	Token    uint64
	Commit   bool
	Revision kv.Revision
	Effect   []byte
}

// Settle asks the primary shard what became of a transaction, for a shard that
// has been holding its locks for long. If nothing is decided for long there
// either, it is aborted. It is answered with Outcome.
type Settle struct {
	Txn   TxnID
	Shard kv.ShardID
}

// OutcomeState is what became of a transaction.
type OutcomeState uint8

// The states. Pending may become either of the others, which are final.
const (
	OutcomePending OutcomeState = iota
	OutcomeAborted
	OutcomeCommitted
)

// Outcome tells what became of a transaction. Of a committed one, it has the
// revision, and for a Settle what it does to the asking shard.
type Outcome struct {
	State    OutcomeState
	Revision kv.Revision
	Part     *Part
}

// Feed asks a replica for the events of its shard with revisions above After,
// as far as they are complete. The replica answers when there are some, or when
// it knows that there are none up to and including Want, and after a while in any case.
type Feed struct {
	// Feed names the asker's place; a later request of a node with the same
	// number takes the place of an earlier one, which is not answered then.
	Feed  uint64
	After kv.Revision
	Want  kv.Revision
	// Keys bounds what is of interest.
	Keys kv.Range
	// PrevKV asks for the versions before.
	PrevKV bool
	// BytesMax bounds the answer, but for the last revision in it.
	BytesMax uint32
}

// Fed answers a Feed: the events with revisions above After up to and
// including UpTo, every one of them.
type Fed struct {
	UpTo   kv.Revision
	Events []FedEvent
	// Compacted is not 0 if some of what was asked for is compacted: the
	// oldest revision that can still be had.
	Compacted kv.Revision
}

// FedEvent is an event and its place in its transaction.
type FedEvent struct {
	kv.Event
	Sub uint32
}

// Close asks the leader of a shard to close Revision, which was handed out
// before. It is answered with Closed as soon as that is done.
type Close struct {
	Revision kv.Revision
}

// Closed promises that a replica which has applied Index of the sender's term
// holds every write of the shard with a revision at or below Revision.
type Closed struct {
	Revision kv.Revision
	Index    uint64
}

// LeaseOp is what is asked of a lease.
type LeaseOp uint8

// What the system shard is asked for, and from LeaseActivate on, what data
// shards are.
const (
	LeaseGrant LeaseOp = iota
	LeaseRevoke
	LeaseKeepAlive
	LeaseTimeToLive
	LeaseList
	// LeaseAttach tells the system shard that keys of Shard are about to hang
	// on the lease.
	LeaseAttach
	// LeaseActivate has a data shard attach the lease and let keys be hung on
	// it; LeaseClose tells it that none may be any more, LeaseForget that the
	// lease is gone.
	LeaseActivate
	LeaseClose
	LeaseForget
	// LeaseKeys asks a data shard for the keys that hang on the lease.
	LeaseKeys
)

// Lease asks for something about a lease. Fields that Op does not need are 0.
type Lease struct {
	Op    LeaseOp
	ID    kv.LeaseID
	TTL   int64
	Shard kv.ShardID
	// Life tells the lease from others with its ID, for LeaseClose and
	// LeaseForget.
	Life uint64
}

// Once reports whether asking twice could do something twice. Nil is nothing.
func (q *Lease) Once() bool {
	return q != nil && (q.Op == LeaseGrant || q.Op == LeaseRevoke)
}

// LeaseResponse answers a Lease.
type LeaseResponse struct {
	Lease kv.Lease
	IDs   []kv.LeaseID
	// Shards are those that keys may hang on the lease in.
	Shards []kv.ShardID
	// Life tells the lease from others with its ID.
	Life uint64
	// More tells that there are more keys than the answer has.
	More bool
}

// Compact asks the system shard to raise the cluster's compaction floor to
// Revision, or a data shard to raise its own. It is answered with Compacted.
type Compact struct {
	Revision kv.Revision
}

// Compacted tells the floor, and from the system shard the cluster's current
// revision.
type Compacted struct {
	Floor, Current kv.Revision
}
