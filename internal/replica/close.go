package replica

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// closes are the requests to close a revision, on a leader: of followers whose
// feeds wait for it. A shard that is idle closes on demand, and says so in no log entry.
type closes struct {
	waiting []closeRequest
	// want is the highest revision that is waited for.
	want kv.Revision
	// confirm, without a lease, asks a quorum whether this replica led after its
	// revision was known to be handed out.
	confirm *read
}

type closeRequest struct {
	origin Origin
	rev    kv.Revision
	since  wire.Instant
}

// submitClose takes a request to close a revision that was handed out.
func (r *Replica) submitClose(now wire.Instant, from Origin, req *wire.Close, out *Output) {
	c := &r.feeds.closes
	if len(c.waiting) >= feedsMax {
		r.fail(from, kv.ErrTooManyRequests, out)
		return
	}
	c.waiting = append(c.waiting, closeRequest{from, req.Revision, now})
	c.want = max(c.want, req.Revision)
}

// closeWanted closes what is waited for, as far as a leader can.
func (r *Replica) closeWanted(now wire.Instant) {
	want := r.Wanted()
	if want == 0 || !r.role.serving {
		return
	}
	if r.HoldsLease(now) {
		r.Observe(now, want)
		return
	}
	if r.closable(want) > r.closed.upTo {
		r.confirmClose(now, want)
	}
}

// confirmClose has a quorum confirm the leadership, since the lease is not held or
// no clock is trusted; closeConfirmed follows.
func (r *Replica) confirmClose(now wire.Instant, want kv.Revision) {
	c := &r.feeds.closes
	if c.confirm != nil && now-c.confirm.since < feedHold {
		return
	}
	c.confirm = &read{seq: r.queue.next(), since: now, at: want, closes: true}
	r.reads.unsure = append(r.reads.unsure, c.confirm)
}

// closeConfirmed closes what a quorum has confirmed the leadership for: rd.at was
// handed out before they were asked.
func (r *Replica) closeConfirmed(rd *read) {
	r.feeds.closes.confirm = nil
	r.close(rd.at)
}

// answerCloses tells those who asked what is closed.
func (r *Replica) answerCloses(out *Output) {
	c := &r.feeds.closes
	if len(c.waiting) == 0 {
		return
	}
	c.want = 0
	c.waiting = slices.DeleteFunc(c.waiting, func(q closeRequest) bool {
		switch {
		case !r.role.leader:
			r.refuse(q.origin, out)
			return true
		case q.rev <= r.closed.upTo:
			r.answer(q.origin, &wire.Response{Closed: &wire.Closed{
				Revision: r.closed.upTo, Index: r.state.applied.Index,
			}}, out)
			return true
		}
		c.want = max(c.want, q.rev)
		return false
	})
}

// expireCloses lets those ask again who have waited for long.
func (r *Replica) expireCloses(now wire.Instant, out *Output) {
	c := &r.feeds.closes
	c.waiting = slices.DeleteFunc(c.waiting, func(q closeRequest) bool {
		if now-q.since < feedHold {
			return false
		}
		r.answer(q.origin, &wire.Response{Code: wire.CodeRetry}, out)
		return true
	})
}

// TakeClosed takes a leader's promise, which answers a wire.Close. It holds for
// ever: what Index holds was committed.
func (r *Replica) TakeClosed(c *wire.Closed) {
	r.closed.heard(c.Revision, c.Index)
	r.closed.settle(r.state.applied.Index)
}
