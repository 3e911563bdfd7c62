package sim

import (
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Where nothing goes wrong, an operation takes no longer than promptMax, and promptMoving
// while a leader moves to where it belongs: what is lost with the old one is waited for.
const (
	promptMax    = 1500 * time.Millisecond
	promptMoving = 4 * time.Second
)

// checkPrompt checks that an operation had a good answer, in time, in a run in which
// nothing goes wrong.
func (c *cluster) checkPrompt(op *Op) {
	if !c.calm {
		return
	}
	moving := c.probe.moved(op.Asked - Time(time.Second))
	if op.Err != nil && !mayRefuse(op, moving) {
		c.failf("nothing was wrong, but: %v", op)
	}
	limit := promptMax
	if moving {
		limit = promptMoving
	}
	if took := time.Duration(op.Answered - op.Asked); took > limit {
		c.failf("nothing was wrong, but it took %v: %v", took, op)
	}
}

// mayRefuse reports whether an operation's error may be right though all is well: who asks
// about leases, alarms or compactions is asked only once while leaders move.
func mayRefuse(op *Op, moving bool) bool {
	return errors.Is(op.Err, kv.ErrFutureRevision) || errors.Is(op.Err, kv.ErrCompacted) ||
		errors.Is(op.Err, kv.ErrLeaseNotFound) || errors.Is(op.Err, kv.ErrKeyNotFound) ||
		moving && op.Txn == nil && op.Range == nil && errors.Is(op.Err, kv.ErrUncertain)
}

// excused reports whether the outcome of a change is not known because a leader moved,
// which happens in healthy clusters too.
func (c *cluster) excused(op *Op) bool {
	return errors.Is(op.Err, kv.ErrUncertain) && op.changes() &&
		c.probe.moved(op.Asked-Time(time.Second))
}

// moved reports whether anybody began to lead a shard since.
func (p *probe) moved(since Time) bool {
	for _, at := range p.reigns {
		if at >= since {
			return true
		}
	}
	return false
}
