package admission

import (
	"sync"
	"sync/atomic"
	"time"
)

// UnitBytes is how much a request may carry for a unit.
const UnitBytes = 64 << 10

// Bounds of a limit, in units.
const (
	// LimitMin is let in however long it takes: clients that wait for their answers
	// before they ask again are no flood, and are not refused.
	LimitMin = 1024
	// LimitStalled is for who does nothing at all.
	LimitStalled = 64
	LimitIdle    = 4096
	LimitMax     = 8192
)

const (
	// window is how long what is done is counted for, at least, and memory about how
	// long the limit takes to follow a change.
	window = 50 * time.Millisecond
	memory = 4 * window
	// patience is how long nothing may be done before a server counts as stalled: a
	// slow disk, or the choice of a leader, take less.
	patience = 20 * window
	// calm is how long it takes to go back to LimitIdle.
	calm = 20 * window
	// eventsATurn lie between two looks at the clock.
	eventsATurn = 32
)

// Limiter bounds what is under way. Use New.
type Limiter struct {
	target time.Duration
	now    func() time.Time

	live, limit atomic.Int64
	// done and refused are those of this window; refusals those since the start.
	done, refused, refusals atomic.Int64
	events                  atomic.Uint32

	// turning is held by who looks at the clock; began is the start of this window,
	// still for how long nothing was done before it.
	turning sync.Mutex
	began   time.Time
	still   time.Duration
}

// New makes a limiter that lets in what is done within about target. now is the
// clock, which may be asked by many goroutines.
func New(target time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{target: target, now: now, began: now()}
	l.limit.Store(LimitIdle)
	return l
}

// Units are what requests are counted in: one for a request, and what it carries.
type Units int64

// UnitsOf is what carrying some bytes counts.
func UnitsOf(bytes int) Units { return Units(bytes / UnitBytes) }

// Take lets in a request of n units, or one that was let in become larger by n, or
// refuses that.
func (l *Limiter) Take(n Units) bool {
	if l.live.Add(int64(n))-int64(n) < l.limit.Load() {
		return true
	}
	l.live.Add(-int64(n))
	l.refused.Add(1)
	l.refusals.Add(1)
	l.event()
	return false
}

// Hold has a request that was let in become larger by n, as it already is.
func (l *Limiter) Hold(n Units) { l.live.Add(int64(n)) }

// Leave ends a request for which n was taken and held altogether. served says that it
// was done, and in time: what else ended shows nothing of what can be done.
func (l *Limiter) Leave(n Units, served bool) {
	l.live.Add(-int64(n))
	if served {
		l.done.Add(int64(n))
	}
	l.event()
}

// event looks at the clock from time to time.
func (l *Limiter) event() {
	if l.events.Add(1)%eventsATurn != 0 || !l.turning.TryLock() {
		return
	}
	defer l.turning.Unlock()
	if now := l.now(); now.Sub(l.began) >= window {
		l.turn(now.Sub(l.began))
		l.began = now
	}
}

// turn ends a window that was so long.
func (l *Limiter) turn(elapsed time.Duration) {
	done, refused := l.done.Swap(0), l.refused.Swap(0)
	limit, live := l.limit.Load(), l.live.Load()
	if refused == 0 && live <= limit/2 {
		l.still = 0
		l.limit.Store(toward(limit, LimitIdle, elapsed, calm))
		return
	}
	if l.still += elapsed; done > 0 {
		l.still = 0
	}
	switch {
	case l.still >= patience:
		l.limit.Store(toward(limit, LimitStalled, elapsed, memory))
	case done > 0:
		// So much would take as long as target.
		goal := int64(float64(done) * float64(l.target) / float64(elapsed))
		l.limit.Store(toward(limit, min(max(goal, LimitMin), LimitMax), elapsed, memory))
	}
}

// toward goes a part of the way, all of it if the time was long.
func toward(from, to int64, elapsed, whole time.Duration) int64 {
	if elapsed >= whole {
		return to
	}
	step := float64(to-from) * float64(elapsed) / float64(whole)
	switch {
	case step > 0 && step < 1:
		step = 1
	case step < 0 && step > -1:
		step = -1
	}
	return from + int64(step)
}

// Load is how a limiter stands, in units; Refused counts requests since the start.
type Load struct {
	Live, Limit, Refused int64
}

// Load tells how the limiter stands.
func (l *Limiter) Load() Load {
	return Load{Live: l.live.Load(), Limit: l.limit.Load(), Refused: l.refusals.Load()}
}
