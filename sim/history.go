package sim

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// Op is one operation of a client: what it asked, what it was told, and when.
// Order counts all beginnings and ends of a run, so that it tells what was
// over before what began.
type Op struct {
	ID     uint64
	Client int
	Node   kv.NodeID
	// Exactly one of Txn, Range, Compact, Lease and Alarm is set.
	Txn     *kv.TxnRequest
	Range   *kv.RangeRequest
	Compact *CompactOp
	Lease   *LeaseOp
	Alarm   *AlarmOp
	// Again is the operation that it is the second try of, 0 for none.
	Again uint64
	Span
	// The answer: exactly one is set once it ended, that of Compact, Lease and
	// Alarm in there.
	TxnResponse   *kv.TxnResponse
	RangeResponse *kv.RangeResponse
	Err           error
	// then is called when it ended, if not nil.
	then func()
}

// Span is when an operation was under way. Begin and End are places in the order;
// End is 0 while it is open. Asked and Answered are the true times of the two.
type Span struct {
	Begin, End      int
	Asked, Answered Time
}

// Fate is what is known of an operation.
type Fate uint8

const (
	// Done operations were answered.
	Done Fate = iota
	// Refused ones have not happened and never will.
	Refused
	// Unknown ones may or may not have happened, or may still.
	Unknown
)

// Fate is what the client knows of the operation.
func (o *Op) Fate() Fate {
	switch {
	case o.End == 0 || errors.Is(o.Err, kv.ErrUncertain):
		return Unknown
	case o.Err != nil:
		return Refused
	}
	return Done
}

// Revision is that of the answer, 0 if it has none.
func (o *Op) Revision() kv.Revision {
	switch {
	case o.Compact != nil:
		return o.Compact.Response.Current
	case o.Lease != nil:
		return o.Lease.Response.Lease.Revision
	case o.Alarm != nil:
		return 0
	case o.TxnResponse != nil:
		return o.TxnResponse.Revision
	}
	return o.RangeResponse.Revision
}

func (o *Op) String() string {
	text := fmt.Sprintf("op %d of client %d at %v (%d to %d): ", o.ID, o.Client, o.Node,
		o.Begin, o.End)
	switch {
	case o.Txn != nil:
		text += describeTxn(o.Txn)
	case o.Range != nil:
		text += describeRange(o.Range)
	case o.Compact != nil:
		text += o.Compact.String()
	case o.Alarm != nil:
		text += o.Alarm.String()
	default:
		text += o.Lease.String()
	}
	switch {
	case o.Err != nil:
		text += fmt.Sprintf(" = %v", o.Err)
	case o.TxnResponse != nil:
		text += fmt.Sprintf(" = %s", describeTxnResponse(o.TxnResponse))
	case o.RangeResponse != nil:
		text += fmt.Sprintf(" = %s", describeRangeResponse(o.RangeResponse))
	}
	return text
}

// Write is one version that a transaction left in a shard.
type Write struct {
	// Sub is its place in the transaction, from 0, over all shards.
	Sub       uint32
	Key       string
	Value     string
	Tombstone bool
	Create    kv.Revision
	Version   int64
	Lease     kv.LeaseID
}

// Commit is a transaction as the replicas of a shard hold it. Of one over several shards
// there are several, until join makes them one; Shard is the first of them then.
type Commit struct {
	Revision kv.Revision
	Shard    kv.ShardID
	// Writes are in the order that the transaction made them in.
	Writes []Write
}

// History is a whole run: what clients saw, and what the replicas hold in the
// end, in the order of the revisions.
type History struct {
	Ops     []*Op
	Commits []Commit
	// Watchings are all watches, Progress what was told on streams of them.
	Watchings []*Watching
	Progress  []Progress
	// Leases are those that there were, Reigns the times at which somebody began to
	// lead the system shard.
	Leases map[kv.LeaseID]*Tenure
	Reigns []Time
	// Healed is when all was well again; Drift bounds the clocks; Gentle tells that
	// nothing was worse than leaders that hand over.
	Healed Time
	Drift  float64
	Gentle bool
	// Repeats tells that messages may have arrived twice.
	Repeats bool
	// order counts beginnings and ends.
	order int
}

// next is the next place in the order.
func (h *History) next() int {
	h.order++
	return h.order
}

func (h *History) begin(o *Op) {
	h.order++
	o.Begin = h.order
	h.Ops = append(h.Ops, o)
}

func (h *History) end(o *Op) {
	h.order++
	o.End = h.order
}
