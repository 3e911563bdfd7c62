package history

import (
	"slices"
	"strings"
)

// Pair is a key with what is known of it.
type Pair struct {
	Key     string `json:"key,omitempty"`
	Value   string `json:"value,omitempty"`
	Create  int64  `json:"create,omitempty"`
	Mod     int64  `json:"mod,omitempty"`
	Version int64  `json:"version,omitempty"`
	Lease   int64  `json:"lease,omitempty"`
}

// state is all keys that live, in order.
type state []Pair

func (s state) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s, key, func(p Pair, key string) int {
		return strings.Compare(p.Key, key)
	})
}

func (s state) get(key string) Pair {
	if i, ok := s.find(key); ok {
		return s[i]
	}
	return Pair{}
}

// between is what lies in a range.
func (s state) between(from, to string) []Pair {
	var found []Pair
	for _, p := range s {
		if within(p.Key, from, to) {
			found = append(found, p)
		}
	}
	return found
}

// leased are the keys of a lease.
func (s state) leased(lease int64) []string {
	var keys []string
	for _, p := range s {
		if p.Lease == lease {
			keys = append(keys, p.Key)
		}
	}
	return keys
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

// apply makes s the state after an event, in place where there is room.
func (s state) apply(e *Event) state {
	i, found := s.find(e.Key)
	switch {
	case e.Deleted && found:
		return slices.Delete(s, i, i+1)
	case e.Deleted:
		return s
	case found:
		s[i] = e.Pair
		return s
	}
	return slices.Insert(s, i, e.Pair)
}

// do carries a transaction out, at a revision if it changes something. s stays
// as it is.
func (s state) do(req *Request, rev int64) (succeeded bool, parts []Part, events []Event) {
	succeeded = true
	for _, c := range req.Ifs {
		succeeded = succeeded && s.get(c.Key).Mod == c.Mod
	}
	actions := req.Then
	if !succeeded {
		actions = req.Else
	}
	own := false
	for _, a := range actions {
		p, changes := s.act(a, rev)
		if len(changes) > 0 && !own {
			s, own = slices.Clone(s), true
		}
		for i := range changes {
			s = s.apply(&changes[i])
		}
		parts, events = append(parts, p), append(events, changes...)
	}
	return succeeded, parts, events
}

func (s state) act(a Action, rev int64) (Part, []Event) {
	switch a.Kind {
	case Put:
		return s.put(a, rev)
	case Delete:
		return s.remove(a, rev)
	}
	found := s.between(a.From, a.To)
	p := Part{Pairs: found, Count: int64(len(found))}
	if a.Limit > 0 && p.Count > a.Limit {
		p.Pairs, p.More = found[:a.Limit], true
	}
	return p, nil
}

func (s state) put(a Action, rev int64) (Part, []Event) {
	old := s.get(a.From)
	e := Event{Prev: old, Pair: Pair{
		Key: a.From, Value: a.Value, Create: old.Create, Mod: rev, Version: old.Version + 1,
		Lease: a.Lease,
	}}
	if old.Version == 0 {
		e.Create = rev
	}
	var p Part
	if a.PrevKV && old.Version > 0 {
		p.Prev = []Pair{old}
	}
	return p, []Event{e}
}

func (s state) remove(a Action, rev int64) (Part, []Event) {
	var p Part
	var events []Event
	for _, old := range s.between(a.From, a.To) {
		p.Deleted++
		if a.PrevKV {
			p.Prev = append(p.Prev, old)
		}
		gone := Event{Pair: Pair{Key: old.Key, Mod: rev}, Deleted: true, Prev: old}
		events = append(events, gone)
	}
	return p, events
}
