package sim

import (
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
)

// reasons are the errors that an operation may end with though its request is sound.
// Whether those that depend on the data are true is for the checkers.
var reasons = []error{
	kv.ErrUncertain, kv.ErrTimeout, kv.ErrNoLeader, kv.ErrConflict,
	kv.ErrFutureRevision, kv.ErrCompacted, kv.ErrLeaseNotFound, kv.ErrKeyNotFound,
}

// checkReason checks that an operation failed for a reason that may be: none of them is
// malformed or too large, there are too many only where a fault holds them up, and nobody
// is uncertain of what changes nothing, unless the answer was lost on its way to the client.
func (c *cluster) checkReason(op *Op) {
	switch {
	case op.Err == nil, op.Err == errGaveUp, op.Err == errConnection:
		return
	case errors.Is(op.Err, kv.ErrTooManyRequests) && !c.calm:
		return
	case errors.Is(op.Err, kv.ErrUncertain) && !op.changes():
		c.failf("uncertain of what changes nothing: %v", op)
	}
	for _, reason := range reasons {
		if errors.Is(op.Err, reason) {
			return
		}
	}
	c.failf("an error without a reason: %v", op)
}

// changes reports whether an operation may do something that its repetition would do
// once more.
func (o *Op) changes() bool {
	switch {
	case o.Txn != nil:
		return !mvcc.ReadOnly(o.Txn)
	case o.Lease != nil:
		return o.Lease.Request.Once()
	case o.Alarm != nil:
		return o.Alarm.Request.Once()
	}
	return o.Compact != nil
}
