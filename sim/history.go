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
	// Exactly one of Txn and Range is set.
	Txn   *kv.TxnRequest
	Range *kv.RangeRequest
	// Begin and End are places in the order; End is 0 while it is open.
	Begin, End int
	// The answer: exactly one of the three is set once it ended.
	TxnResponse   *kv.TxnResponse
	RangeResponse *kv.RangeResponse
	Err           error
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

// Revision is that of the answer.
func (o *Op) Revision() kv.Revision {
	if o.TxnResponse != nil {
		return o.TxnResponse.Revision
	}
	return o.RangeResponse.Revision
}

func (o *Op) String() string {
	text := fmt.Sprintf("op %d of client %d at %v (%d to %d): ", o.ID, o.Client, o.Node,
		o.Begin, o.End)
	if o.Txn != nil {
		text += describeTxn(o.Txn)
	} else {
		text += describeRange(o.Range)
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
	Key       string
	Value     string
	Tombstone bool
	Create    kv.Revision
	Version   int64
}

// Commit is a transaction as the replicas hold it.
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
	// order counts beginnings and ends.
	order int
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
