package history

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// entry is a revision at which something changed.
type entry struct {
	revision int64
	events   []Event
	// owner made it.
	owner *Call
}

// markEvery is how many entries have one state that is kept.
const markEvery = 8

// past is everything that happened, by revision.
type past struct {
	entries []*entry
	// marks[i] is the state before entry i*markEvery.
	marks []state
}

// newPast makes the past of what a watch from the first revision was told, and
// calls fail for what cannot be.
func newPast(w *Watch, fail func(at time.Duration, format string, args ...any)) *past {
	h := &past{}
	var now state
	for e, at := range w.events() {
		n := len(h.entries)
		if n == 0 || h.entries[n-1].revision != e.Mod {
			if n > 0 && e.Mod < h.entries[n-1].revision {
				fail(at, "%v was told %d after %d", w, e.Mod, h.entries[n-1].revision)
			}
			if n%markEvery == 0 {
				h.marks = append(h.marks, slices.Clone(now))
			}
			h.entries = append(h.entries, &entry{revision: e.Mod})
		}
		if err := follows(now, e); err != nil {
			fail(at, "%v: %v", w, err)
		}
		now = now.apply(e)
		last := h.entries[len(h.entries)-1]
		last.events = append(last.events, *e)
	}
	return h
}

// lastBefore tells what happened at the last entry below a revision.
func (h *past) lastBefore(rev int64) string {
	i := h.index(rev - 1)
	if i < 0 {
		return "nothing"
	}
	return events(h.entries[i].events)
}

// follows checks what an event says of its key's past.
func follows(now state, e *Event) error {
	old := now.get(e.Key)
	want := Event{Pair: e.Pair, Deleted: e.Deleted, Prev: old}
	want.Create, want.Version = old.Create, old.Version+1
	switch {
	case e.Deleted && old.Version == 0:
		return fmt.Errorf("%v, which was not there", e)
	case e.Deleted:
		want.Pair = Pair{Key: e.Key, Mod: e.Mod}
	case old.Version == 0:
		want.Create = e.Mod
	}
	if *e != want {
		return fmt.Errorf("the event is %v, expected %v", e, &want)
	}
	return nil
}

// index is that of the last entry at or below a revision, -1 if there is none.
func (h *past) index(rev int64) int {
	return sort.Search(len(h.entries), func(i int) bool { return h.entries[i].revision > rev }) - 1
}

// at is the index of the entry of a revision, -1 if nothing changed there.
func (h *past) at(rev int64) int {
	if i := h.index(rev); i >= 0 && h.entries[i].revision == rev {
		return i
	}
	return -1
}

// before is what was live before entry i. It is the caller's.
func (h *past) before(i int) state {
	if len(h.marks) == 0 {
		return nil
	}
	mark := min(i/markEvery, len(h.marks)-1)
	s := slices.Clone(h.marks[mark])
	for _, e := range h.entries[mark*markEvery : i] {
		for j := range e.events {
			s = s.apply(&e.events[j])
		}
	}
	return s
}

// state is what was live at a revision. It is the caller's.
func (h *past) state(rev int64) state { return h.before(h.index(rev) + 1) }
