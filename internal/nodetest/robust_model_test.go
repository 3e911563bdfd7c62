package nodetest

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// pair is a key with what is known of it.
type pair struct {
	key, value                  string
	create, mod, version, lease int64
}

// state is all keys that live, in order. It is never changed.
type state []pair

func (s state) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s, key, func(p pair, key string) int {
		return strings.Compare(p.key, key)
	})
}

func (s state) get(key string) pair {
	if i, ok := s.find(key); ok {
		return s[i]
	}
	return pair{}
}

// between is what lies in a range.
func (s state) between(from, to string) []pair {
	var found []pair
	for _, p := range s {
		if within(p.key, from, to) {
			found = append(found, p)
		}
	}
	return found
}

func within(key, from, to string) bool {
	switch to {
	case "":
		return key == from
	case "\x00":
		return key >= from
	}
	return from <= key && key < to
}

// with is the state after an event.
func (s state) with(e event) state {
	i, found := s.find(e.key)
	next := slices.Clone(s)
	switch {
	case e.deleted && found:
		return slices.Delete(next, i, i+1)
	case e.deleted:
		return next
	case found:
		next[i] = e.pair
		return next
	}
	return slices.Insert(next, i, e.pair)
}

// do carries a transaction out, at a revision if it changes something.
func (s state) do(req *request, rev int64) (succeeded bool, parts []part, events []event) {
	succeeded = true
	for _, c := range req.ifs {
		succeeded = succeeded && s.get(c.key).mod == c.mod
	}
	actions := req.then
	if !succeeded {
		actions = req.els
	}
	for _, a := range actions {
		p, changes := s.act(a, rev)
		for _, e := range changes {
			s = s.with(e)
		}
		parts, events = append(parts, p), append(events, changes...)
	}
	return succeeded, parts, events
}

func (s state) act(a action, rev int64) (part, []event) {
	switch a.kind {
	case kindPut:
		old := s.get(a.from)
		e := event{prev: old, pair: pair{
			key: a.from, value: a.value, create: old.create, mod: rev, version: old.version + 1,
			lease: a.lease,
		}}
		if old.version == 0 {
			e.create = rev
		}
		var p part
		if a.prevKV && old.version > 0 {
			p.prev = []pair{old}
		}
		return p, []event{e}
	case kindDelete:
		var p part
		var events []event
		for _, old := range s.between(a.from, a.to) {
			p.deleted++
			if a.prevKV {
				p.prev = append(p.prev, old)
			}
			events = append(events, event{
				pair: pair{key: old.key, mod: rev}, deleted: true, prev: old,
			})
		}
		return p, events
	}
	found := s.between(a.from, a.to)
	p := part{pairs: found, count: int64(len(found))}
	if a.limit > 0 && p.count > a.limit {
		p.pairs, p.more = found[:a.limit], true
	}
	return p, nil
}

// leased are the keys of a lease.
func (s state) leased(lease int64) []string {
	var keys []string
	for _, p := range s {
		if p.lease == lease {
			keys = append(keys, p.key)
		}
	}
	return keys
}

// entry is a revision at which something changed.
type entry struct {
	revision int64
	events   []event
	before   state
	after    state
	// owner made it; begin is when that may have happened at the earliest.
	owner *call
}

// past is everything that happened, by revision.
type past []*entry

// newPast makes the past of what a watch from the first revision was told,
// and returns what cannot be.
func newPast(events []event) (past, []error) {
	var h past
	var problems []error
	var now state
	for _, e := range events {
		if n := len(h); n == 0 || h[n-1].revision != e.mod {
			h = append(h, &entry{revision: e.mod, before: now})
		}
		if err := follows(now, e); err != nil {
			problems = append(problems, err)
		}
		now = now.with(e)
		last := h[len(h)-1]
		last.events, last.after = append(last.events, e), now
	}
	for i := 1; i < len(h); i++ {
		if h[i].revision <= h[i-1].revision {
			problems = append(problems, fmt.Errorf("%d follows %d", h[i].revision, h[i-1].revision))
		}
	}
	return h, problems
}

// follows checks what an event says of its key's past.
func follows(now state, e event) error {
	old := now.get(e.key)
	want := event{pair: e.pair, deleted: e.deleted, prev: old}
	want.create, want.version = old.create, old.version+1
	switch {
	case e.deleted && old.version == 0:
		return fmt.Errorf("%+v deletes what is not there", e)
	case e.deleted:
		want.pair = pair{key: e.key, mod: e.mod}
	case old.version == 0:
		want.create = e.mod
	}
	if e != want {
		return fmt.Errorf("the event is %+v, expected %+v", e, want)
	}
	return nil
}

// index is that of the last entry at or below a revision, -1 if there is none.
func (h past) index(rev int64) int {
	return sort.Search(len(h), func(i int) bool { return h[i].revision > rev }) - 1
}

// at is the entry of a revision, nil if nothing changed there.
func (h past) at(rev int64) *entry {
	if i := h.index(rev); i >= 0 && h[i].revision == rev {
		return h[i]
	}
	return nil
}

// state is what was live at a revision.
func (h past) state(rev int64) state {
	if i := h.index(rev); i >= 0 {
		return h[i].after
	}
	return nil
}
