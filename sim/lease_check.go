package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// leaseChecker holds what clients were told of leases against their tenures, and those
// against the clocks' bound.
type leaseChecker struct {
	*checker
	// deeds are the operations about a lease, in the order of their beginnings.
	deeds map[kv.LeaseID][]*Op
}

// checkLeases checks that
//
//   - who is answered by a lease found it alive at some moment meanwhile, and who is
//     told that there is none was told so after it was gone;
//   - no lease ends before its time to live has passed since it was last acknowledged,
//     by any clock that keeps the bound, none is used after that, and none ends long
//     after it once all is well;
//   - its keys go after its end has begun;
//   - no key hangs on a lease that is gone.
//
// That its keys went at one revision, and that none was hung on it later, is what
// explainRest asks for.
func (c *checker) checkLeases() error {
	l := leaseChecker{checker: c, deeds: map[kv.LeaseID][]*Op{}}
	for _, op := range c.history.Ops {
		if op.Lease != nil {
			l.deeds[op.Lease.Request.ID] = append(l.deeds[op.Lease.Request.ID], op)
		}
	}
	for _, op := range c.history.Ops {
		if err := l.checkOp(op); err != nil {
			return fmt.Errorf("%w\n%v", err, op)
		}
	}
	for id := range c.history.Leases {
		if err := errors.Join(l.checkTenure(id), l.checkEnd(id)); err != nil {
			return fmt.Errorf("lease %d: %w", id, err)
		}
	}
	return l.checkKeys()
}

func (l *leaseChecker) checkOp(op *Op) error {
	if op.Txn != nil {
		return l.checkPuts(op)
	}
	if op.Lease == nil || op.Lease.Request.Op == wire.LeaseList {
		return nil
	}
	id := op.Lease.Request.ID
	if errors.Is(op.Err, kv.ErrLeaseNotFound) {
		return l.mayBeGone(id, op)
	}
	if errors.Is(op.Err, kv.ErrLeaseExists) {
		return errors.New("the id was never used before")
	}
	if op.Fate() != Done {
		return nil
	}
	if err := errors.Join(l.wasThere(id, op), l.checkUse(id, op)); err != nil {
		return err
	}
	if op.Lease.Request.Op == wire.LeaseTimeToLive {
		return l.checkTimeLeft(id, op)
	}
	return nil
}

// wasThere checks that an operation that used a lease found it: it was there while the
// operation was under way.
func (l *leaseChecker) wasThere(id kv.LeaseID, op *Op) error {
	t := l.history.Leases[id]
	switch revoke := op.Lease != nil && op.Lease.Request.Op == wire.LeaseRevoke; {
	case t == nil, t.Born > op.Answered:
		return fmt.Errorf("lease %d was not there yet", id)
	case t.Gone != 0 && t.Gone < op.Asked:
		return fmt.Errorf("lease %d was gone already", id)
	case op.Lease != nil && !revoke && t.Dying != 0 && t.Dying < op.Asked:
		return fmt.Errorf("lease %d had begun to end already", id)
	case revoke && (t.Gone == 0 || t.Gone > op.Answered):
		return fmt.Errorf("lease %d was not gone yet", id)
	}
	return nil
}

// mayBeGone checks that somebody may be told that there is no such lease.
func (l *leaseChecker) mayBeGone(id kv.LeaseID, op *Op) error {
	t := l.history.Leases[id]
	for _, deed := range l.deeds[id] {
		granted := deed.Lease.Request.Op == wire.LeaseGrant && deed.Fate() == Done &&
			deed.End < op.Begin
		if granted && (t == nil || t.Gone == 0 || t.Gone > op.Answered) {
			return fmt.Errorf("lease %d was not gone yet", id)
		}
	}
	return nil
}

// checkPuts checks a transaction that hangs keys on leases.
func (l *leaseChecker) checkPuts(op *Op) error {
	ids := leasesOf(nil, op.Txn)
	if errors.Is(op.Err, kv.ErrLeaseNotFound) {
		if len(ids) == 0 {
			return errors.New("it names no lease")
		}
		return l.mayBeGone(ids[0], op)
	}
	for _, id := range ids {
		if op.Fate() == Done && op.TxnResponse.Succeeded {
			if err := l.wasThere(id, op); err != nil {
				return err
			}
		}
	}
	return nil
}

// leasesOf adds the leases that a transaction names.
func leasesOf(ids []kv.LeaseID, txn *kv.TxnRequest) []kv.LeaseID {
	for _, o := range slices.Concat(txn.Success, txn.Failure) {
		switch {
		case o.Put != nil && o.Put.Lease != 0:
			ids = append(ids, o.Put.Lease)
		case o.Txn != nil:
			ids = leasesOf(ids, o.Txn)
		}
	}
	return ids
}

// slackOfEnds is how long an end may take once all is well: an election, the time that
// is lost between two checkpoints, and what a request is waited for.
const slackOfEnds = 8 * time.Second

// checkTenure checks when a lease ended.
func (l *leaseChecker) checkTenure(id kv.LeaseID) error {
	h := l.history
	t, ttl, last := h.Leases[id], time.Duration(0), h.Healed
	revoked := slices.ContainsFunc(l.deeds[id], func(deed *Op) bool {
		return deed.Lease.Request.Op == wire.LeaseRevoke && deed.Asked <= t.Dying
	})
	for _, deed := range l.deeds[id] {
		switch deed.Lease.Request.Op {
		case wire.LeaseGrant:
			ttl = time.Duration(deed.Lease.Request.TTL) * time.Second
		case wire.LeaseKeepAlive:
		default:
			continue
		}
		last = max(last, deed.Answered)
		soonest := deed.Asked + Time(float64(ttl)/(1+h.Drift))
		if deed.Fate() == Done && !revoked && t.Dying < soonest {
			return fmt.Errorf("it expired at %v, but had %v from %v on at least: %v",
				time.Duration(t.Dying), ttl, time.Duration(deed.Asked), deed)
		}
	}
	if latest := last + Time(float64(ttl)/(1-h.Drift)) + Time(slackOfEnds); t.Gone > latest {
		return fmt.Errorf("it was there until %v, %v would have been enough",
			time.Duration(t.Gone), time.Duration(latest))
	}
	return nil
}

// checkTimeLeft checks the time that a lease is said to have left. A new leader may
// grant what went by since the last checkpoint, and until it led, once more; how much
// that is, is only known if leaders change in order.
func (l *leaseChecker) checkTimeLeft(id kv.LeaseID, op *Op) error {
	h := l.history
	ttl, surely, perhaps := time.Duration(0), Time(-1), Time(0)
	for _, deed := range l.deeds[id] {
		verb := deed.Lease.Request.Op
		if verb == wire.LeaseGrant {
			ttl = time.Duration(deed.Lease.Request.TTL) * time.Second
		}
		if verb != wire.LeaseGrant && verb != wire.LeaseKeepAlive || deed.Begin > op.End {
			continue
		}
		if deed.Fate() == Done && deed.End < op.Begin {
			surely = max(surely, deed.Asked)
		}
		perhaps = max(perhaps, deed.Answered)
		if deed.End == 0 || deed.End > op.Begin {
			perhaps = op.Asked
		}
	}
	left := time.Duration(op.Lease.Response.Lease.TTL) * time.Second
	passed := time.Duration(float64(op.Answered-surely) * (1 + h.Drift))
	switch {
	case op.Lease.Response.Lease.Granted != int64(ttl/time.Second) || left > ttl:
		return fmt.Errorf("it was granted for %v", ttl)
	case surely >= 0 && left < (ttl-passed-leftSlack).Truncate(time.Second):
		return fmt.Errorf("no more than %v of %v had passed", passed, ttl)
	case !h.Gentle:
		return nil
	}
	passed = time.Duration(float64(op.Asked-perhaps) * (1 - h.Drift))
	for _, at := range h.Reigns {
		if at >= perhaps && at <= op.Answered {
			passed -= max(time.Second, ttl/10) + gapOfReigns
		}
	}
	if left > ttl-passed {
		return fmt.Errorf("at least %v of %v had passed", passed, ttl)
	}
	return nil
}

// leftSlack is what is lost because the log counts milliseconds.
const leftSlack = 20 * time.Millisecond

// gapOfReigns is how long there may be no leader if one hands over to another in order.
const gapOfReigns = 500 * time.Millisecond

// checkKeys checks that nothing hangs on a lease that is gone, in the end.
func (l *leaseChecker) checkKeys() error {
	for _, key := range l.model.keys {
		pair, live := l.model.get(key, kv.RevisionMax)
		if t := l.history.Leases[pair.Lease]; live && pair.Lease != 0 && (t == nil || t.Gone != 0) {
			return fmt.Errorf("in the end %q still hangs on lease %d: %+v", key, pair.Lease, pair)
		}
	}
	return nil
}

// findEnds finds the commits that ended leases among those that no answered operation
// made: each deletes all keys that hang on a lease, and nothing else, and none is hung
// on it later. If several do that for one lease, it is the last.
func (c *checker) findEnds() {
	c.ends = map[kv.LeaseID]kv.Revision{}
	for i := len(c.history.Commits) - 1; i >= 0; i-- {
		commit := &c.history.Commits[i]
		if c.claims[commit.Revision] != nil {
			continue
		}
		id := c.endedBy(commit)
		if _, ended := c.ends[id]; id != 0 && !ended && !c.model.hungAfter(id, commit.Revision) {
			c.ends[id] = commit.Revision
		}
	}
}

// hungAfter reports whether a key was hung on a lease after a revision.
func (m *model) hungAfter(id kv.LeaseID, rev kv.Revision) bool {
	for _, list := range m.versions {
		for _, v := range list {
			if v.Lease == id && v.rev > rev {
				return true
			}
		}
	}
	return false
}

// endedBy is the lease that a commit ended, 0 if none.
func (c *checker) endedBy(commit *Commit) (id kv.LeaseID) {
	before, gone := commit.Revision-1, map[string]bool{}
	for _, w := range commit.Writes {
		pair, live := c.model.get(w.Key, before)
		if !w.Tombstone || !live || id != 0 && pair.Lease != id {
			return 0
		}
		id = pair.Lease
		gone[w.Key] = true
	}
	if t := c.history.Leases[id]; t == nil || t.Dying == 0 {
		return 0
	}
	for _, key := range c.model.keys {
		if pair, live := c.model.get(key, before); live && pair.Lease == id && !gone[key] {
			return 0
		}
	}
	return id
}

// endsLease reports whether a commit is the end of a lease.
func (c *checker) endsLease(commit *Commit) bool {
	for _, end := range c.ends {
		if end == commit.Revision {
			return true
		}
	}
	return false
}
