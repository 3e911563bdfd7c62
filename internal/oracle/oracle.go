// Package oracle hands out revisions.
//
// Oracle is the counter itself, run by the leader of the system shard, if there are
// several shards with keys: one alone counts in its own log. It
// owns the rule that no revision is ever handed out twice, whatever crashes:
// before it serves, and before it passes the mark, it has a higher mark
// committed by the system shard in its own term. Client is the other end: it
// gathers what one worker's shards and reads need and asks for all of it at
// once.
//
// Both are pure state machines without clock or I/O. Package worker connects
// them to the system shard, and checks the leader's lease after a number is
// taken and before it is told to anyone.
//
// Invariants:
//
//  1. last <= mark while serving; a revision above mark is never handed out.
//  2. A term serves only above the mark that it inherited.
//  3. After Release nothing is handed out in the same term.
package oracle

import (
	"cmp"

	"github.com/miruvor/miruvor/internal/kv"
)

// Window is how far the mark runs ahead, in revisions. A crash of the leader skips what
// is left of it, so it begins small and grows with the load. The zero value stands for
// 1,000 to 1,000,000.
type Window struct {
	First, Max kv.Revision
}

// orDefault is a window to work with.
func (w Window) orDefault() Window {
	return Window{First: cmp.Or(w.First, 1_000), Max: cmp.Or(w.Max, 1_000_000)}
}

// Oracle is the counter. Its zero value follows (it serves nobody).
type Oracle struct {
	// Window is set before the first term.
	Window Window
	// leading is true between Lead and Follow, serving once the first mark
	// of the term is committed.
	leading, serving, released bool
	// last was handed out last; mark is committed: last <= mark.
	last, mark kv.Revision
	// proposed is a mark on its way through the log, 0 if none is.
	proposed kv.Revision
	window   kv.Revision
}

// Lead begins a term. mark is the one that the log ends with. The returned
// mark has to be committed in this term before anything is handed out.
func (o *Oracle) Lead(mark kv.Revision) kv.Revision {
	first := o.Window.orDefault().First
	*o = Oracle{Window: o.Window, leading: true, last: mark, mark: mark, window: first}
	o.proposed = mark + o.window
	return o.proposed
}

// Follow ends the term, if one was begun.
func (o *Oracle) Follow() { *o = Oracle{Window: o.Window} }

// Committed tells that a mark which this term proposed is applied.
func (o *Oracle) Committed(mark kv.Revision) {
	if !o.leading {
		return
	}
	if mark == o.proposed {
		o.proposed = 0
	}
	o.mark = max(o.mark, mark)
	o.serving = !o.released
}

// Serving reports whether Take may succeed.
func (o *Oracle) Serving() bool { return o.serving }

// Last is the revision handed out last; it is meaningful while Serving.
func (o *Oracle) Last() kv.Revision { return o.last }

// Take hands out count revisions beginning at base; base-1 is the last one
// handed out before. It fails while not Serving, or if the mark is too
// near: then Extend asks for a higher one and the caller tries again later.
func (o *Oracle) Take(count uint32) (base kv.Revision, ok bool) {
	if !o.serving || o.last+kv.Revision(count) > o.mark {
		return 0, false
	}
	base = o.last + 1
	o.last += kv.Revision(count)
	return base, true
}

// Extend returns the mark to commit next, when less than half a window is
// left above last plus the need that waits. It returns false while a mark is
// on its way. The window doubles each time, because a window that lasts is
// asked for seldom.
func (o *Oracle) Extend(need uint32) (mark kv.Revision, ok bool) {
	if !o.serving || o.proposed != 0 {
		return 0, false
	}
	if o.mark-o.last-kv.Revision(need) >= o.window/2 {
		return 0, false
	}
	o.window = min(o.window*2, o.Window.orDefault().Max)
	o.proposed = o.last + kv.Revision(need) + o.window
	return o.proposed, true
}

// Dropped tells that the log did not take the mark that Lead, Extend or
// Release returned last, so that it is asked for again.
func (o *Oracle) Dropped() { o.proposed = 0 }

// Retry returns the first mark of the term again if it was Dropped.
func (o *Oracle) Retry() (mark kv.Revision, ok bool) {
	if !o.leading || o.serving || o.released || o.proposed != 0 {
		return 0, false
	}
	o.proposed = o.mark + o.window
	return o.proposed, true
}

// Release ends the handing out for this term and returns the exact mark to
// commit, so that a successor continues without a gap. It returns false if
// the term was not serving.
func (o *Oracle) Release() (mark kv.Revision, ok bool) {
	if !o.serving {
		return 0, false
	}
	o.serving, o.released = false, true
	o.proposed = o.last
	return o.last, true
}
