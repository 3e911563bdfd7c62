package history

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// placeUnknown finds out which calls without an answer happened. Values are
// unique, so a put is known by its own.
func (v *Verdict) placeUnknown(calls []*Call, sightings []placed) {
	byValue := map[string]int{}
	for i, e := range v.past.entries {
		for _, event := range e.events {
			if event.Value != "" {
				byValue[event.Value] = i
			}
		}
	}
	var deletes []*Call
	for _, c := range calls {
		if c.Kind != Txn || c.Outcome == Answered {
			continue
		}
		found, puts, removes := -1, false, false
		for _, a := range slices.Concat(c.Then, c.Else) {
			removes = removes || a.Kind == Delete
			if a.Kind == Put {
				puts = true
				if i, ok := byValue[a.Value]; ok {
					found = i
				}
			}
		}
		switch {
		case found >= 0:
			v.own(c, found)
		case !puts && removes && c.Outcome == Unknown:
			deletes = append(deletes, c)
		}
	}
	v.placeDeletes(deletes, sightings)
}

// own gives an entry to a call without an answer that put what is there.
func (v *Verdict) own(c *Call, i int) {
	e := v.past.entries[i]
	switch {
	case c.Outcome != Unknown:
		v.fail(c.End, "was refused, but is at %d:\n  %v", e.revision, c)
	case e.owner != nil:
		v.fail(c.End, "revision %d is of two:\n  %v\n  %v", e.revision, e.owner, c)
	default:
		e.owner, c.Revision = c, e.revision
		v.made(c, i)
		v.put(c, forever, true)
	}
}

// placeDeletes gives what nobody has made to deletes without an answer, if
// they had begun when it was seen.
func (v *Verdict) placeDeletes(deletes []*Call, sightings []placed) {
	slices.SortFunc(deletes, func(a, b *Call) int { return cmp.Compare(a.Begin, b.Begin) })
	firstSeen := whenSeen(sightings)
	for i, e := range v.past.entries {
		if e.owner != nil {
			continue
		}
		before, seen := v.past.before(i), firstSeen(e.revision)
		for _, c := range deletes {
			if c.Begin > seen {
				break
			}
			if c.Revision != 0 || !c.mayRemove(e.events[0].Key) {
				continue
			}
			_, _, events := before.do(&c.Request, e.revision)
			if slices.Equal(events, e.events) {
				e.owner, c.Revision = c, e.revision
				v.put(c, forever, true)
				break
			}
		}
	}
}

// mayRemove reports whether a call was made to delete a key, among others.
func (c *Call) mayRemove(key string) bool {
	for _, actions := range [][]Action{c.Then, c.Else} {
		for _, a := range actions {
			if a.Kind == Delete && within(key, a.From, a.To) {
				return true
			}
		}
	}
	return false
}

// whenSeen tells when a watch was first told of a revision or of a later one.
func whenSeen(sightings []placed) func(rev int64) time.Duration {
	byRevision := slices.Clone(sightings)
	slices.SortFunc(byRevision, func(a, b placed) int {
		return cmp.Compare(a.revision, b.revision)
	})
	first := forever
	for i := len(byRevision) - 1; i >= 0; i-- {
		first = min(first, byRevision[i].end)
		byRevision[i].end = first
	}
	return func(rev int64) time.Duration {
		i := sort.Search(len(byRevision), func(i int) bool { return byRevision[i].revision >= rev })
		if i == len(byRevision) {
			return forever
		}
		return byRevision[i].end
	}
}

// placeEnded explains what is left by the ends of leases.
func (v *Verdict) placeEnded(calls []*Call, sightings []placed, slack int) {
	firstSeen := whenSeen(sightings)
	byLease := map[int64][]*Call{}
	for _, c := range calls {
		if c.Kind == Grant || c.Kind == KeepAlive || c.Kind == Revoke {
			byLease[c.Lease] = append(byLease[c.Lease], c)
		}
	}
	for i, e := range v.past.entries {
		if e.owner != nil {
			continue
		}
		lease := v.ends(i)
		if lease == 0 {
			v.fail(firstSeen(e.revision), "nobody did what happened at %d: %s", e.revision,
				events(e.events))
			continue
		}
		e.owner = &Call{
			Client: endClient, Request: Request{Kind: Revoke, Lease: lease}, Revision: e.revision,
			End: firstSeen(e.revision),
		}
		var because *Call
		if e.owner.Begin, because = endOf(byLease[lease], slack); because != nil {
			e.owner.Error = because.String()
		}
		v.put(e.owner, forever, true)
	}
}

// endOf is when a lease can have ended at the earliest, by clocks that may be wrong, by
// a slack in percent, and the call because of which it is no earlier, if there is one.
func endOf(calls []*Call, slack int) (end time.Duration, because *Call) {
	for _, c := range calls {
		if c.Kind == Revoke {
			return min(end, c.Begin), because
		}
		ttl := time.Duration(c.TTL) * time.Second
		due := c.Begin + ttl*time.Duration(100-slack)/100
		if c.Outcome == Answered && due > end {
			end, because = due, c
		}
	}
	return end, because
}
