package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// checkUse checks that nobody was told of a lease as alive who asked when its time was
// up by any clock. Only a new leader begins the time anew, at the most from the full
// one; what the network repeats may do so unseen.
func (l *leaseChecker) checkUse(id kv.LeaseID, op *Op) error {
	h := l.history
	verb := op.Lease.Request.Op
	if h.Repeats || verb != wire.LeaseKeepAlive && verb != wire.LeaseTimeToLive {
		return nil
	}
	begun, ttl, known := l.lastRenewal(id, op)
	if !known {
		return nil
	}
	for _, reign := range h.Reigns {
		if reign <= op.Answered {
			begun = max(begun, reign)
		}
	}
	if over := begun + Time(float64(ttl)/(1-h.Drift)); op.Asked > over {
		return fmt.Errorf("its time was up at %v, at the latest", time.Duration(over))
	}
	return nil
}

// lastRenewal is the latest time at which another operation than op may have begun a
// lease's time anew, false if that may be any.
func (l *leaseChecker) lastRenewal(id kv.LeaseID, op *Op) (at Time, ttl time.Duration, ok bool) {
	for _, deed := range l.deeds[id] {
		verb := deed.Lease.Request.Op
		if verb == wire.LeaseGrant {
			ttl = time.Duration(deed.Lease.Request.TTL) * time.Second
		}
		if verb != wire.LeaseGrant && verb != wire.LeaseKeepAlive || deed == op ||
			deed.Begin > op.End {
			continue
		}
		if deed.Fate() != Done || deed.End > op.Begin {
			return 0, 0, false
		}
		at = max(at, deed.Answered)
	}
	return at, ttl, true
}

// checkEnd checks that the keys of a lease went when its end had begun, and not before,
// unless somebody may have deleted just them: was anybody told of that, or of what came
// later, too early?
func (l *leaseChecker) checkEnd(id kv.LeaseID) error {
	end, ended := l.ends[id]
	commit := l.commits[end]
	if !ended || slices.ContainsFunc(l.history.Ops, func(op *Op) bool {
		return l.fits(op, commit)
	}) {
		return nil
	}
	for _, op := range l.history.Ops {
		if op.Fate() == Done && op.Answered < l.history.Leases[id].Dying && op.Revision() >= end {
			return fmt.Errorf("its keys went at %v, before its end began at %v: %v", end,
				time.Duration(l.history.Leases[id].Dying), op)
		}
	}
	return nil
}
