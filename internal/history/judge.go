package history

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

// forever is the end of what may still happen.
const forever = time.Duration(math.MaxInt64)

// placed is a call with its place in the past: at the entry that it made, or
// after the entry that it read.
type placed struct {
	call       *Call
	begin, end time.Duration
	revision   int64
	index      int
	wrote      bool
}

// Verdict is what clients and watches cannot have been told.
type Verdict struct {
	// Problems is empty if all is well.
	Problems []*Problem
	// Calls and Answered count requests; Revisions those that changed something;
	// Watches and Told watches and their responses.
	Calls, Answered, Revisions, Watches, Told int

	past     *past
	placed   []placed
	compacts []*Call
}

// fail notes what was told at a time and cannot be.
func (v *Verdict) fail(at time.Duration, format string, args ...any) {
	v.Problems = append(v.Problems, &Problem{At: at, Text: fmt.Sprintf(format, args...)})
}

// Judge holds everything against what the first witness was told. Nothing may be
// recorded any more, and every witness must have been told of the last change.
func (h *History) Judge() *Verdict {
	v := &Verdict{Calls: len(h.calls), Watches: len(h.watches), compacts: h.compacts}
	v.past = newPast(h.witnesses[0], v.fail)
	v.Revisions = len(v.past.entries)
	for _, c := range h.calls {
		if c.Outcome == Answered {
			v.Answered++
		}
		v.place(c)
	}
	sightings := sightings(h.watches)
	v.placeUnknown(h.calls, sightings)
	v.placeEnded(h.calls, sightings, h.LeaseSlack)
	if v.inOrder(sightings) {
		v.linearizable()
	}
	v.leases(h.calls)
	v.compacted(h.calls)
	for _, w := range h.watches {
		v.Told += len(w.told)
		v.watched(w)
	}
	return v
}

// place finds the place of an answered call, and checks its answer there.
func (v *Verdict) place(c *Call) {
	switch {
	case c.Outcome != Answered || c.Kind == KeepAlive:
	case c.Kind == Revoke:
		v.placeRevoke(c)
	case c.Kind == Grant:
		v.put(c, c.End, false)
	case c.wrote():
		v.placeWrite(c)
	default:
		at := c.Revision
		if c.At != 0 {
			at = min(at, c.At)
		}
		v.compare(c, v.past.state(at))
		if !c.Weak {
			v.put(c, c.End, false)
		}
	}
}

func (v *Verdict) placeWrite(c *Call) {
	i := v.past.at(c.Revision)
	if i < 0 {
		v.fail(c.End, "no watch saw this write:\n  %v\n  the last before it: %s", c,
			v.past.lastBefore(c.Revision))
		return
	}
	e := v.past.entries[i]
	if e.owner != nil {
		v.fail(c.End, "two writes have a revision:\n  %v\n  %v", e.owner, c)
		return
	}
	e.owner = c
	v.compare(c, v.past.before(i))
	v.made(c, i)
	v.put(c, c.End, true)
}

func (v *Verdict) put(c *Call, end time.Duration, wrote bool) {
	v.placed = append(v.placed, placed{
		call: c, begin: c.Begin, end: end, revision: c.Revision, index: v.past.index(c.Revision),
		wrote: wrote,
	})
}

// compare holds an answer against the state that it was given in.
func (v *Verdict) compare(c *Call, s state) {
	succeeded, parts, _ := s.do(&c.Request, c.Revision)
	if succeeded != c.Succeeded || !reflect.DeepEqual(parts, c.Parts) {
		due := *c
		due.Succeeded, due.Parts = succeeded, parts
		v.fail(c.End, "%v\n  should have been told %s\n  %s", c, due.told(),
			differences(c.Parts, parts))
	}
}

// made checks that a call explains all that happened at an entry.
func (v *Verdict) made(c *Call, i int) {
	e := v.past.entries[i]
	_, _, made := v.past.before(i).do(&c.Request, e.revision)
	if !slices.Equal(made, e.events) {
		v.fail(c.End, "%v\n  makes %s\n  but watches saw %s", c, events(made), events(e.events))
	}
}

func (v *Verdict) placeRevoke(c *Call) {
	if i := v.past.at(c.Revision); i >= 0 {
		if e := v.past.entries[i]; e.owner == nil && v.ends(i) == c.Lease {
			e.owner = c
			v.put(c, c.End, true)
			return
		}
	}
	if keys := v.past.state(c.Revision).leased(c.Lease); len(keys) > 0 {
		v.fail(c.End, "%v\n  but there still is %q", c, keys)
	}
	v.put(c, c.End, false)
}

// ends is the lease of which an entry deletes all keys, 0 if it is not that.
func (v *Verdict) ends(i int) int64 {
	e, before := v.past.entries[i], v.past.before(i)
	lease := before.get(e.events[0].Key).Lease
	var keys []string
	for _, event := range e.events {
		if !event.Deleted {
			return 0
		}
		keys = append(keys, event.Key)
	}
	slices.Sort(keys)
	if lease != 0 && slices.Equal(keys, before.leased(lease)) {
		return lease
	}
	return 0
}
