package sim

import (
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// lookBack finds the rare states that only the whole history shows.
func (p *probe) lookBack() {
	h := &p.c.history
	for _, op := range h.Ops {
		p.lookBackAt(h, op)
	}
	for _, l := range h.Leases {
		for _, reign := range h.Reigns {
			if l.Dying != 0 && l.Dying < reign && reign < l.Gone {
				p.reached(EndAcrossReign)
			}
		}
	}
	for _, w := range h.Watchings {
		for i := range w.Heard {
			if w.Heard[i].Response.Compacted != 0 && w.Heard[i].Try > 1 {
				p.reached(WatchOvertaken)
			}
		}
	}
}

func (p *probe) lookBackAt(h *History, op *Op) {
	switch {
	case op.Answered == 0:
	case op.Lease != nil && op.Lease.Request.Op == wire.LeaseKeepAlive:
		if diedDuring(h.Leases[op.Lease.Request.ID], op) {
			p.reached(ExpiryDuringKeepAlive)
		}
	case op.Txn != nil:
		for _, id := range leasesOf(nil, op.Txn) {
			if diedDuring(h.Leases[id], op) {
				p.reached(ExpiryDuringPut)
				break
			}
		}
	}
	if !errors.Is(op.Err, kv.ErrCompacted) {
		return
	}
	if lowest, names := lowestRead(op); names && lowest >= floorBefore(h, op) {
		p.reached(ReadOvertaken)
	}
}

// diedDuring reports whether the end of a lease began during an operation.
func diedDuring(t *Tenure, op *Op) bool {
	return t != nil && op.Asked < t.Dying && t.Dying < op.Answered
}

// floorBefore is the highest floor that may have been reached when an operation began.
func floorBefore(h *History, op *Op) (floor kv.Revision) {
	for _, other := range h.Ops {
		if other.Begin >= op.Begin {
			break
		}
		if other.Compact != nil && other.Fate() != Refused {
			floor = max(floor, other.Compact.Revision)
		}
	}
	return floor
}
