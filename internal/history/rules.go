package history

import (
	"slices"
	"time"
)

// leases checks that nothing is put on a lease that has ended.
func (v *Verdict) leases(calls []*Call) {
	revoked := map[int64]*Call{}
	for _, c := range calls {
		if c.Kind == Revoke && c.Outcome == Answered {
			revoked[c.Lease] = c
		}
	}
	for _, c := range calls {
		for _, a := range c.Then {
			r := revoked[a.Lease]
			if c.Outcome == Answered && c.Succeeded && r != nil && r.End < c.Begin {
				v.fail(c.End, "%v\n  uses a lease that has gone by\n  %v", c, r)
			}
		}
	}
}

// compacted checks that what was forgotten, and nothing else, is refused.
func (v *Verdict) compacted(calls []*Call) {
	for _, c := range calls {
		if c.Kind != Txn || c.At == 0 {
			continue
		}
		possible, certain := false, false
		for _, done := range v.compacts {
			above := done.At > c.At
			possible = possible || above && done.Begin < c.End
			certain = certain || above && done.Outcome == Answered && done.End < c.Begin
		}
		switch {
		case c.Outcome == Forgotten && !possible:
			v.fail(c.End, "nobody has forgotten %d: %v", c.At, c)
		case c.Outcome == Answered && certain && !c.Weak:
			v.fail(c.End, "%d was forgotten before: %v", c.At, c)
		}
	}
}

// watched holds a watch against the past.
func (v *Verdict) watched(w *Watch) {
	start, mark := w.Start, w.Start-1
	var due *due
	for n, t := range w.told {
		if t.Error != "" {
			continue
		}
		if due == nil {
			if start == 0 {
				start, mark = t.Revision+1, t.Revision
				if began(w.told[n:]) {
					start, mark = start-1, mark-1
				}
			}
			due = v.due(w, start)
		}
		for i := range t.Events {
			e := &t.Events[i]
			want := due.next()
			if want == nil || !v.tells(e, want, t.At) || e.Mod <= mark {
				v.fail(t.At, "%v\n  was told up to %d, and now (response %d, %v)\n  %v\n"+
					"  due is %s", w, mark, n, &t, e, dueText(want))
				return
			}
			due.pop()
		}
		if t.Created && len(t.Events) == 0 {
			continue
		}
		if want := due.next(); want != nil && want.Mod <= t.Revision {
			v.fail(t.At, "%v\n  response %d (%v)\n  lacks %v", w, n, &t, want)
			return
		}
		if t.Revision < mark {
			v.fail(t.At, "%v\n  response %d (%v)\n  comes after one at %d", w, n, &t, mark)
		}
		mark = t.Revision
	}
}

// began reports whether a watch of what comes next, whose first response tells where that
// begins, is told of that revision too: etcd's client that loses its connection before it
// is told anything else asks again for what comes from there on.
func began(told []Told) bool {
	return len(told) > 1 && len(told[0].Events) == 0 && len(told[1].Events) > 0 &&
		told[1].Events[0].Mod == told[0].Revision
}

// tells reports whether an event that was told is the one that had to be. What was
// there before it may be missing once that is compacted.
func (v *Verdict) tells(told, want *Event, at time.Duration) bool {
	if *told == *want {
		return true
	}
	bare := *want
	bare.Prev = Pair{}
	return *told == bare && slices.ContainsFunc(v.compacts, func(c *Call) bool {
		return c.At >= want.Mod && c.Begin < at
	})
}

// dueText is an event that is due, if there is one.
func dueText(e *Event) string {
	if e == nil {
		return "nothing"
	}
	return e.String()
}

// due is what a watch must be told, if it goes on long enough, one after the
// other.
type due struct {
	past  *past
	watch *Watch
	// entry and event are where the next is looked for.
	entry, event int
	found        *Event
}

func (v *Verdict) due(w *Watch, start int64) *due {
	return &due{past: v.past, watch: w, entry: v.past.index(start-1) + 1}
}

// next is the next event, nil if there is none.
func (d *due) next() *Event {
	for d.found == nil && d.entry < len(d.past.entries) {
		events := d.past.entries[d.entry].events
		if d.event == len(events) {
			d.entry, d.event = d.entry+1, 0
			continue
		}
		e := events[d.event]
		d.event++
		if within(e.Key, d.watch.From, d.watch.To) {
			if !d.watch.PrevKV {
				e.Prev = Pair{}
			}
			d.found = &e
		}
	}
	return d.found
}

func (d *due) pop() { d.found = nil }
