package nodetest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// forever is the end of what may still happen.
const forever = time.Duration(math.MaxInt64)

// placed is a call with its place in the past: at the entry that it made, or
// after the entry that it read.
type placed struct {
	call       *call
	begin, end time.Duration
	revision   int64
	index      int
	wrote      bool
}

// verdict looks for what clients and watches cannot have been told.
type verdict struct {
	past     past
	placed   []placed
	problems []error
}

func (v *verdict) fail(format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf(format, args...))
}

// judge holds everything against what the first collector was told.
func (r *robust) judge() *verdict {
	v := &verdict{}
	v.past, v.problems = newPast(r.collectors[0].events())
	for _, c := range r.calls {
		v.place(c)
	}
	v.placeUnknown(r.calls, v.sightings(r.watches))
	v.placeEnded(r.calls)
	v.inOrder(r.watches)
	v.linearizable()
	v.leases(r.calls)
	v.compacted(r.calls, r.compacts)
	for _, w := range r.watches {
		v.watched(w)
	}
	return v
}

func (r *robust) check() {
	t := r.c.t
	t.Helper()
	v := r.judge()
	good, told := 0, 0
	for _, c := range r.calls {
		if c.err == nil {
			good++
		}
	}
	for _, w := range r.watches {
		told += len(w.told)
	}
	t.Logf("seed %d: %d calls, %d answered; %d revisions up to %d; %d watches told %d times",
		r.seed, len(r.calls), good, len(v.past), r.seen.Load(), len(r.watches), told)
	for i, problem := range v.problems {
		if i == 12 {
			t.Errorf("and %d more", len(v.problems)-i)
			break
		}
		t.Error(problem)
	}
	if good < 50 || len(v.past) < 20 {
		t.Error("there was no load")
	}
}

func (w *watching) events() []event {
	var all []event
	for _, t := range w.told {
		all = append(all, t.events...)
	}
	return all
}

// wrote says whether an answer tells of a change.
func (c *call) wrote() bool {
	actions := c.then
	if !c.succeeded {
		actions = c.els
	}
	for i, a := range actions {
		if a.kind == kindPut || a.kind == kindDelete && c.parts[i].deleted > 0 {
			return true
		}
	}
	return false
}

// place finds the place of an answered call, and checks its answer there.
func (v *verdict) place(c *call) {
	if c.err != nil || c.kind == kindKeepAlive {
		return
	}
	if c.kind == kindRevoke {
		v.placeRevoke(c)
		return
	}
	if c.kind == kindGrant {
		v.put(c, c.end, false)
		return
	}
	if !c.wrote() {
		at := c.revision
		if c.request.revision != 0 {
			at = min(at, c.request.revision)
		}
		v.compare(c, v.past.state(at))
		if !c.weak {
			v.put(c, c.end, false)
		}
		return
	}
	e := v.past.at(c.revision)
	switch {
	case e == nil:
		v.fail("no watch saw this write: %v", c)
	case e.owner != nil:
		v.fail("two writes have a revision: %v and %v", e.owner, c)
	default:
		e.owner = c
		v.compare(c, e.before)
		v.made(c, e)
		v.put(c, c.end, true)
	}
}

func (v *verdict) put(c *call, end time.Duration, wrote bool) {
	v.placed = append(v.placed, placed{
		call: c, begin: c.begin, end: end, revision: c.revision, index: v.past.index(c.revision),
		wrote: wrote,
	})
}

// compare holds an answer against the state that it was given in.
func (v *verdict) compare(c *call, s state) {
	succeeded, parts, _ := s.do(&c.request, c.revision)
	if succeeded != c.succeeded || !reflect.DeepEqual(parts, c.parts) {
		v.fail("%v\n  should have been %+v, succeeded %v, in\n  %+v", c, parts, succeeded, s)
	}
}

// made checks that a call explains all that happened at a revision.
func (v *verdict) made(c *call, e *entry) {
	if _, _, events := e.before.do(&c.request, e.revision); !slices.Equal(events, e.events) {
		v.fail("%v\n  makes %+v, but watches saw %+v", c, events, e.events)
	}
}

func (v *verdict) placeRevoke(c *call) {
	if e := v.past.at(c.revision); e != nil && e.owner == nil && e.ends() == c.lease {
		e.owner = c
		v.put(c, c.end, true)
		return
	}
	if keys := v.past.state(c.revision).leased(c.lease); len(keys) > 0 {
		v.fail("%v, but there still is %q", c, keys)
	}
	v.put(c, c.end, false)
}

// ends is the lease of which an entry deletes all keys, 0 if it is not that.
func (e *entry) ends() int64 {
	lease := e.before.get(e.events[0].key).lease
	var keys []string
	for _, event := range e.events {
		if !event.deleted {
			return 0
		}
		keys = append(keys, event.key)
	}
	slices.Sort(keys)
	if lease != 0 && slices.Equal(keys, e.before.leased(lease)) {
		return lease
	}
	return 0
}

// placeUnknown finds out which calls without an answer happened.
func (v *verdict) placeUnknown(calls []*call, sightings []placed) {
	byValue := map[string]*entry{}
	for _, e := range v.past {
		for _, event := range e.events {
			if event.value != "" {
				byValue[event.value] = e
			}
		}
	}
	var deletes []*call
	for _, c := range calls {
		if c.kind != kindTxn || c.err == nil {
			continue
		}
		found, puts := (*entry)(nil), false
		for _, a := range slices.Concat(c.then, c.els) {
			if a.kind == kindPut {
				puts = true
				found = cmp.Or(found, byValue[a.value])
			}
		}
		switch {
		case found != nil && c.refused():
			v.fail("was refused, but is at %d: %v", found.revision, c)
		case found != nil && found.owner != nil:
			v.fail("%d is of %v and of %v", found.revision, found.owner, c)
		case found != nil:
			found.owner, c.revision = c, found.revision
			v.made(c, found)
			v.put(c, forever, true)
		case !puts && !c.refused():
			deletes = append(deletes, c)
		}
	}
	v.placeDeletes(deletes, sightings)
}

// placeDeletes gives what nobody has made to deletes without an answer, if
// they had begun when it was seen.
func (v *verdict) placeDeletes(deletes []*call, sightings []placed) {
	slices.SortFunc(deletes, func(a, b *call) int { return cmp.Compare(a.begin, b.begin) })
	for _, e := range v.past {
		if e.owner != nil {
			continue
		}
		seen := forever
		for _, p := range sightings {
			if p.revision >= e.revision {
				seen = min(seen, p.end)
			}
		}
		for _, c := range deletes {
			if c.begin > seen {
				break
			}
			_, _, events := e.before.do(&c.request, e.revision)
			if c.revision == 0 && slices.Equal(events, e.events) {
				e.owner, c.revision = c, e.revision
				v.put(c, forever, true)
				break
			}
		}
	}
}

// placeEnded explains what is left by the ends of leases.
func (v *verdict) placeEnded(calls []*call) {
	for _, e := range v.past {
		if e.owner != nil {
			continue
		}
		lease := e.ends()
		if lease == 0 {
			v.fail("nobody did what happened at %d: %+v", e.revision, e.events)
			continue
		}
		c := &call{
			client: -1, request: request{kind: kindRevoke, lease: lease}, revision: e.revision,
			begin: endOf(lease, calls),
		}
		e.owner = c
		v.put(c, forever, true)
	}
}

// endOf is when a lease can have ended at the earliest.
func endOf(lease int64, calls []*call) time.Duration {
	var end time.Duration
	for _, c := range calls {
		switch {
		case c.request.lease != lease:
		case (c.kind == kindGrant || c.kind == kindKeepAlive) && c.err == nil:
			end = max(end, c.begin+time.Duration(c.ttl)*time.Second)
		case c.kind == kindRevoke:
			return min(end, c.begin)
		}
	}
	return end
}

// sightings are what watches were told, as reads that ended then.
func (v *verdict) sightings(watches []*watching) []placed {
	var seen []placed
	for _, w := range watches {
		for _, t := range w.told {
			if t.err == nil {
				c := &call{client: -2, end: t.at, revision: t.revision}
				seen = append(seen, placed{call: c, end: t.at, revision: t.revision})
			}
		}
	}
	return seen
}

// inOrder checks that revisions never fall behind what was answered before, or
// told to a watch.
func (v *verdict) inOrder(watches []*watching) {
	begun, ended := slices.Clone(v.placed), slices.Concat(v.placed, v.sightings(watches))
	slices.SortFunc(begun, func(a, b placed) int { return cmp.Compare(a.begin, b.begin) })
	slices.SortFunc(ended, func(a, b placed) int { return cmp.Compare(a.end, b.end) })
	var last placed
	for _, p := range begun {
		for len(ended) > 0 && ended[0].end < p.begin {
			if ended[0].revision > last.revision {
				last = ended[0]
			}
			ended = ended[1:]
		}
		if p.revision < last.revision || p.wrote && p.revision == last.revision {
			v.fail("%v\n  is before what was answered before it:\n  %v", p.call, last.call)
		}
	}
}

// linearizable has porcupine look for an order.
func (v *verdict) linearizable() {
	var ops []porcupine.Operation
	for _, p := range v.placed {
		ops = append(ops, porcupine.Operation{
			ClientId: p.call.client + 1, Input: p, Output: p, Call: int64(p.begin),
			Return: int64(p.end),
		})
	}
	model := porcupine.Model{
		Init: func() any { return -1 },
		Step: func(state, input, _ any) (bool, any) {
			p := input.(placed)
			if p.wrote {
				return state == p.index-1, p.index
			}
			return state == p.index, p.index
		},
	}
	if got := porcupine.CheckOperationsTimeout(model, ops, 20*time.Second); got != porcupine.Ok {
		v.fail("porcupine: the history is %v", got)
	}
}

// leases checks that nothing is put on a lease that has ended.
func (v *verdict) leases(calls []*call) {
	revoked := map[int64]*call{}
	for _, c := range calls {
		if c.kind == kindRevoke && c.err == nil {
			revoked[c.lease] = c
		}
	}
	for _, c := range calls {
		for _, a := range c.then {
			r := revoked[a.lease]
			if c.err == nil && c.succeeded && r != nil && r.end < c.begin {
				v.fail("%v\n  uses a lease that has gone by\n  %v", c, r)
			}
		}
	}
}

// compacted checks that what was forgotten, and nothing else, is refused.
func (v *verdict) compacted(calls, compacts []*call) {
	for _, c := range calls {
		at := c.request.revision
		if c.kind != kindTxn || at == 0 {
			continue
		}
		possible, certain := false, false
		for _, done := range compacts {
			above := done.request.revision > at
			possible = possible || above && done.begin < c.end
			certain = certain || above && done.err == nil && done.end < c.begin
		}
		switch gone := errors.Is(c.err, rpctypes.ErrCompacted); {
		case gone && !possible:
			v.fail("nobody has forgotten %d: %v", at, c)
		case c.err == nil && certain && !c.weak:
			v.fail("%d was forgotten before: %v", at, c)
		}
	}
}

// watched holds a watch against the past.
func (v *verdict) watched(w *watching) {
	start, mark, next := w.start, w.start-1, 0
	var due []event
	begun := false
	for n, t := range w.told {
		if t.err != nil {
			continue
		}
		if !begun {
			if start == 0 {
				start, mark = t.revision+1, t.revision
			}
			due, begun = v.due(w, start), true
		}
		for _, e := range t.events {
			if next == len(due) || due[next] != e || e.mod <= mark {
				v.fail("%v, response %d at %d, after mark %d: told %+v, due %+v", w, n, t.revision,
					mark, e, due[min(next, len(due)):min(next+1, len(due))])
				return
			}
			next++
		}
		if t.created && len(t.events) == 0 {
			continue
		}
		if next < len(due) && due[next].mod <= t.revision {
			v.fail("%v, response %d at %d (progress %v) with %d events lacks %+v", w, n,
				t.revision, t.progress, len(t.events), due[next])
			return
		}
		if t.revision < mark {
			v.fail("%v: response %d %+v after one at %d: %+v", w, n, t, mark, w.told[max(0, n-3):n])
		}
		mark = t.revision
	}
}

// due is what a watch must be told, if it goes on long enough.
func (v *verdict) due(w *watching, start int64) []event {
	var due []event
	for _, entry := range v.past {
		for _, e := range entry.events {
			if entry.revision < start || !within(e.key, w.from, w.to) {
				continue
			}
			if !w.prevKV {
				e.prev = pair{}
			}
			due = append(due, e)
		}
	}
	return due
}
