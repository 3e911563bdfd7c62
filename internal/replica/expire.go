package replica

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// expire answers what has waited for too long.
func (r *Replica) expire(now wire.Instant, out *Output) {
	before := now - wire.Instant(r.cfg.Timing.RequestTimeout)
	l := &r.reads
	l.fresh = r.expireReads(l.fresh, before, out)
	l.blocked = r.expireReads(l.blocked, before, out)
	l.waiting = r.expireReads(l.waiting, before, out)
	l.running = r.expireReads(l.running, before, out)
	l.unsure = r.expireReads(l.unsure, before, out)
	for _, rd := range l.asked {
		if rd.since < before {
			r.fail(rd.origin, kv.ErrTimeout, out)
			rd.origin = Origin{}
		}
	}
	r.expireWaiters(now, out)
	r.expireItems(before, out)
	r.expireFloors(before, out)
	r.expireLeases(before, out)
	r.expireAlarms(before, out)
	r.answerKeys(now, out)
}

func (r *Replica) expireReads(list []*read, before wire.Instant, out *Output) []*read {
	n := 0
	for n < len(list) && list[n].since < before {
		r.fail(list[n].origin, kv.ErrTimeout, out)
		n++
	}
	return list[n:]
}

// expireItems gives up the whole queue if its head is too old: the oracle
// does not answer, and what follows was evaluated upon it.
func (r *Replica) expireItems(before wire.Instant, out *Output) {
	q := &r.queue
	for len(q.blocked) > 0 && q.blocked[0].since < before {
		q.release(q.blocked[0])
		r.fail(q.blocked[0].origin, kv.ErrTimeout, out)
		q.blocked = q.blocked[1:]
	}
	switch {
	case len(q.evaluated) > 0 && q.evaluated[0].since < before,
		len(q.arrived) > 0 && q.arrived[0].since < before:
		r.abandon(wire.CodeTimeout, out)
	}
	for _, it := range q.inflight {
		if it.since >= before {
			break
		}
		if it.origin.ID != 0 {
			r.fail(it.origin, kv.ErrUncertain, out)
			it.origin = Origin{}
		}
	}
}
