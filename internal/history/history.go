package history

import (
	"sync"
	"sync/atomic"
	"time"
)

// History collects calls and watches. It may be used from any goroutine.
type History struct {
	// LeaseSlack is how much too early a lease may end, in percent of its time,
	// because clocks are wrong.
	LeaseSlack int

	begin time.Time
	// seen is the highest revision of any answer.
	seen atomic.Int64
	// kept counts the answered renewals of leases.
	kept atomic.Int64

	mu        sync.Mutex
	calls     []*Call
	compacts  []*Call
	watches   []*Watch
	witnesses []*Watch
}

// New is a history that begins now.
func New() *History { return &History{begin: time.Now()} }

// Now is the time since the beginning.
func (h *History) Now() time.Duration { return time.Since(h.begin) }

// Record adds a call that has ended.
func (h *History) Record(c *Call) {
	h.Saw(c.Revision)
	if c.Kind == KeepAlive && c.Outcome == Answered {
		h.kept.Add(1)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Kind == Compact {
		h.compacts = append(h.compacts, c)
		return
	}
	h.calls = append(h.calls, c)
}

// Saw notes that somebody was told of a revision.
func (h *History) Saw(rev int64) {
	for at := h.seen.Load(); at < rev && !h.seen.CompareAndSwap(at, rev); at = h.seen.Load() {
	}
}

// Seen is the highest revision that anybody was told of.
func (h *History) Seen() int64 { return h.seen.Load() }

// Kept is how many renewals of leases were answered.
func (h *History) Kept() int64 { return h.kept.Load() }

// Watching adds a watch that begins now, and returns it.
func (h *History) Watching(w *Watch) *Watch {
	w.Begin = h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watches = append(h.watches, w)
	return w
}

// Witness adds a watch of everything from the first revision on. What the first
// witness is told is what happened.
func (h *History) Witness(node int) *Watch {
	w := h.Watching(&Watch{Node: node, Start: 1, PrevKV: true, From: "\x00", To: "\x00"})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.witnesses = append(h.witnesses, w)
	return w
}

// Witnesses are the witnesses. The slice is the caller's.
func (h *History) Witnesses() []*Watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*Watch(nil), h.witnesses...)
}

// Calls are all calls but compactions. They must not be modified.
func (h *History) Calls() []*Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

// Revisions are those at which something changed, as far as the first witness
// was told, ascending.
func (h *History) Revisions() []int64 {
	var all []int64
	for e := range h.Witnesses()[0].events() {
		if n := len(all); n == 0 || all[n-1] != e.Mod {
			all = append(all, e.Mod)
		}
	}
	return all
}
