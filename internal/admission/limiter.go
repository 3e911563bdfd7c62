package admission

import (
	"sync"
	"sync/atomic"
	"time"
)

// Bounds are those of a limit. What they count is the Limiter's user's.
type Bounds struct {
	// Min is let in however long it takes, Stalled if nothing is done at all.
	Min, Stalled int64
	// Idle is what a burst may have after a quiet time, Max the most ever.
	Idle, Max int64
}

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
	bounds Bounds
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
func New(b Bounds, target time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{bounds: b, target: target, now: now, began: now()}
	l.limit.Store(b.Idle)
	return l
}

// Take lets in n, or refuses it.
func (l *Limiter) Take(n int64) bool {
	if l.live.Add(n)-n < l.limit.Load() {
		return true
	}
	l.live.Add(-n)
	l.refused.Add(1)
	l.refusals.Add(1)
	l.event()
	return false
}

// Hold has what was let in become larger by n, as it already is.
func (l *Limiter) Hold(n int64) { l.live.Add(n) }

// Leave ends what n was taken and held for altogether. served says that it was done,
// and in time: what else ended shows nothing of what can be done.
func (l *Limiter) Leave(n int64, served bool) {
	l.live.Add(-n)
	if served {
		l.done.Add(n)
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
		l.limit.Store(toward(limit, l.bounds.Idle, elapsed, calm))
		return
	}
	if l.still += elapsed; done > 0 {
		l.still = 0
	}
	switch {
	case l.still >= patience:
		l.limit.Store(toward(limit, l.bounds.Stalled, elapsed, memory))
	case done > 0:
		// So much would take as long as target.
		goal := int64(float64(done) * float64(l.target) / float64(elapsed))
		goal = min(max(goal, l.bounds.Min), l.bounds.Max)
		l.limit.Store(toward(limit, goal, elapsed, memory))
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

// Load is how a limiter stands; Refused counts what it did not let in since the start.
type Load struct {
	Live, Limit, Refused int64
}

// Load tells how the limiter stands.
func (l *Limiter) Load() Load {
	return Load{Live: l.live.Load(), Limit: l.limit.Load(), Refused: l.refusals.Load()}
}
