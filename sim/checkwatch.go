package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// checkWatches holds what watchers were told against the log of commits:
//
//   - all that a watch was told, on all streams that it was on, is what was committed
//     in its range from its beginning on, in order, each once, and at the end all of it;
//   - events of one revision come in one response, with the version before if
//     that was asked for and is not compacted;
//   - a watermark lies above no event that was not told;
//   - a watch from now begins after what was told to anybody before it was
//     asked for, and before whatever began when it was there;
//   - an answer to Progress lies at or above what was told to anybody before;
//   - a watch ends only where a compaction that was asked for cuts it off.
func (c *checker) checkWatches() error {
	c.findTold()
	for _, p := range c.history.Progress {
		if told := c.toldBefore(p.Asked); p.Revision < told {
			return fmt.Errorf("progress to %v, asked for at %d, but %v was told before",
				p.Revision, p.Asked, told)
		}
	}
	for _, w := range c.history.Watchings {
		s := watchCheck{checker: c, watching: w, want: c.expected(w)}
		if err := s.run(); err != nil {
			return fmt.Errorf("watch %d of %v from %v (%d to %d): %w", w.ID, w.Request.Range,
				w.Request.From, w.Added, w.Begun, err)
		}
	}
	return nil
}

// told is a revision, and when somebody was told of it, or of a higher one before.
type told struct {
	order int
	rev   kv.Revision
}

// findTold orders what was told.
func (c *checker) findTold() {
	var list []told
	for _, op := range c.history.Ops {
		if op.Fate() == Done {
			list = append(list, told{op.End, op.Revision()})
		}
	}
	for _, w := range c.history.Watchings {
		for i := range w.Heard {
			list = append(list, told{w.Heard[i].Order, w.highest(i)})
		}
	}
	slices.SortFunc(list, func(a, b told) int { return cmp.Compare(a.order, b.order) })
	for i := 1; i < len(list); i++ {
		list[i].rev = max(list[i].rev, list[i-1].rev)
	}
	c.told = list
}

// highest is the highest revision that a response proves to be handed out. A
// watch from what is to come has a watermark before it is reached.
func (w *Watching) highest(i int) kv.Revision {
	r := &w.Heard[i].Response
	if n := len(r.Events); n > 0 {
		return r.Events[n-1].KV.ModRevision
	}
	return 0
}

// toldBefore is the highest revision that anybody was told before a place in the
// order.
func (c *checker) toldBefore(order int) kv.Revision {
	i, _ := slices.BinarySearchFunc(c.told, order, func(t told, order int) int {
		return cmp.Compare(t.order, order)
	})
	if i == 0 {
		return kv.FirstRevision
	}
	return c.told[i-1].rev
}

// expected are all events that a watch is to be told until the end.
func (c *checker) expected(w *Watching) []kv.Event {
	from := c.start(w)
	var list []kv.Event
	for i := range c.history.Commits {
		commit := &c.history.Commits[i]
		if commit.Revision < from {
			continue
		}
		for _, write := range commit.Writes {
			e := kv.Event{KV: pairOf(write, commit.Revision), Deleted: write.Tombstone}
			if e.Deleted {
				e.KV = kv.KeyValue{Key: e.KV.Key, ModRevision: commit.Revision}
			}
			if w.wants(&e) {
				list = append(list, e)
			}
		}
	}
	return list
}

func (w *Watching) wants(e *kv.Event) bool {
	if e.Deleted && w.Request.NoDelete || !e.Deleted && w.Request.NoPut {
		return false
	}
	return w.Request.Contains(e.KV.Key)
}

// start is the first revision that a watch is of. If it is from now, that is
// the first one that it was told, or should have been.
func (c *checker) start(w *Watching) kv.Revision {
	if w.Request.From != 0 {
		return w.Request.From
	}
	from := kv.RevisionMax
	for i := range w.Heard {
		if events := w.Heard[i].Response.Events; len(events) > 0 {
			from = events[0].KV.ModRevision
			break
		}
	}
	if w.Begun == 0 {
		return from
	}
	for rev, op := range c.claims {
		if op.Begin > w.Begun {
			from = min(from, rev)
		}
	}
	return from
}

// watchCheck checks one watch: want is what is still to come.
type watchCheck struct {
	*checker
	watching *Watching
	want     []kv.Event
	// mark is the highest watermark on the stream number try.
	mark kv.Revision
	try  int
}

func (s *watchCheck) run() error {
	w := s.watching
	for i := range w.Heard {
		if err := s.hear(&w.Heard[i]); err != nil {
			h := &w.Heard[i]
			return fmt.Errorf("response at %d of %v: %s: %w", h.Order, h.Node,
				describeWatchResponse(&h.Response), err)
		}
	}
	if w.Open && len(s.want) > 0 {
		return fmt.Errorf("%d events were never told, the first is %s", len(s.want),
			describeEvent(&s.want[0]))
	}
	return nil
}

// hear checks a response.
func (s *watchCheck) hear(h *Heard) error {
	r := &h.Response
	if h.Try != s.try {
		s.try, s.mark = h.Try, 0
	}
	if r.Compacted != 0 {
		return s.compacted(r.Compacted)
	}
	if r.ID != 0 && r.Revision < s.mark {
		return fmt.Errorf("the watermark goes back, it was %v", s.mark)
	}
	s.mark = max(s.mark, r.Revision)
	for i := range r.Events {
		if err := s.event(&r.Events[i]); err != nil {
			return err
		}
	}
	if len(s.want) == 0 {
		return nil
	}
	next := &s.want[0]
	if n := len(r.Events); n > 0 && r.Events[n-1].KV.ModRevision == next.KV.ModRevision {
		return fmt.Errorf("half a revision: %s is missing", describeEvent(next))
	}
	if next.KV.ModRevision <= r.Revision {
		return fmt.Errorf("the watermark is above %s, which is missing", describeEvent(next))
	}
	return nil
}

// event checks that an event is the next one, and right.
func (s *watchCheck) event(e *kv.Event) error {
	if len(s.want) == 0 {
		return fmt.Errorf("%s never happened, or was told before", describeEvent(e))
	}
	want := s.want[0]
	s.want = s.want[1:]
	if want.Deleted != e.Deleted || !equalPairs(want.KV, e.KV) {
		return fmt.Errorf("%s is told instead of %s", describeEvent(e), describeEvent(&want))
	}
	rev := e.KV.ModRevision
	if rev <= s.beginsAfter() {
		return fmt.Errorf("%s was told to somebody before the watch began", describeEvent(e))
	}
	if rev > s.mark {
		return fmt.Errorf("%s is above the watermark", describeEvent(e))
	}
	return s.prev(e)
}

// beginsAfter is a revision that a watch from now lies above.
func (s *watchCheck) beginsAfter() kv.Revision {
	if s.watching.Request.From != 0 {
		return 0
	}
	return s.toldBefore(s.watching.Added)
}

// prev checks the version before.
func (s *watchCheck) prev(e *kv.Event) error {
	before, live := s.model.get(string(e.KV.Key), e.KV.ModRevision-1)
	switch {
	case e.Prev == nil && (!s.watching.Request.PrevKV || !live):
		return nil
	case e.Prev == nil && e.KV.ModRevision-1 < s.compactedTo():
		return nil
	case e.Prev == nil:
		return fmt.Errorf("%s has no version before", describeEvent(e))
	case !s.watching.Request.PrevKV || !live:
		return fmt.Errorf("%s has a version before", describeEvent(e))
	case !equalPairs(*e.Prev, before):
		return fmt.Errorf("%s: the version before is %s", describeEvent(e), describeKV(before))
	}
	return nil
}

// compacted checks the end of a watch: somebody asked for that floor, and the
// watch was below it.
func (s *watchCheck) compacted(floor kv.Revision) error {
	switch {
	case floor > s.compactedTo():
		return errors.New("nobody compacted there")
	case max(s.mark+1, s.watching.Froms[s.try-1]) >= floor:
		return fmt.Errorf("the watch needs nothing below %v", floor)
	}
	s.want = nil
	return nil
}

// compactedTo is the highest floor that anybody asked for and may have got.
func (c *checker) compactedTo() kv.Revision {
	floor := kv.Revision(0)
	for _, op := range c.history.Ops {
		if op.Compact != nil && op.Fate() != Refused {
			floor = max(floor, op.Compact.Revision)
		}
	}
	return floor
}
