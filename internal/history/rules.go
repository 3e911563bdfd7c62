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
				v.fail("%v\n  uses a lease that has gone by\n  %v", c, r)
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
			v.fail("nobody has forgotten %d: %v", c.At, c)
		case c.Outcome == Answered && certain && !c.Weak:
			v.fail("%d was forgotten before: %v", c.At, c)
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
			}
			due = v.due(w, start)
		}
		for i := range t.Events {
			e := &t.Events[i]
			want := due.next()
			if want == nil || !v.tells(e, want, t.At) || e.Mod <= mark {
				v.fail("%v, response %d at %d, after mark %d: told %+v, due %+v", w, n, t.Revision,
					mark, e, want)
				return
			}
			due.pop()
		}
		if t.Created && len(t.Events) == 0 {
			continue
		}
		if want := due.next(); want != nil && want.Mod <= t.Revision {
			v.fail("%v, response %d at %d (progress %v) with %d events lacks %+v", w, n,
				t.Revision, t.Progress, len(t.Events), want)
			return
		}
		if t.Revision < mark {
			v.fail("%v: response %d %+v after one at %d: %+v", w, n, t, mark, w.told[max(0, n-3):n])
		}
		mark = t.Revision
	}
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
