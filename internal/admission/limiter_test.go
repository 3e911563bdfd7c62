package admission

import (
	"math"
	"testing"
	"time"
)

const target = 500 * time.Millisecond

// world is a server in virtual time: it does capacity requests a second, in the order
// of their arrival, in batches that end every batch.
type world struct {
	l        *Limiter
	at       time.Time
	capacity float64
	batch    time.Duration
	queue    []time.Time // of arrivals
	credit   float64
	worst    time.Duration // of those done since reset
	done     int
	refused  int
}

func newWorld(capacity float64, batch time.Duration) *world {
	w := &world{at: time.Unix(1, 0), capacity: capacity, batch: batch}
	w.l = New(Calls, target, func() time.Time { return w.at })
	return w
}

// run offers so many a second for a while.
func (w *world) run(perSecond float64, length time.Duration) {
	w.worst, w.done, w.refused = 0, 0, 0
	const step = time.Millisecond
	due, sinceBatch := 0.0, time.Duration(0)
	for range int(length / step) {
		w.at = w.at.Add(step)
		for due += perSecond * step.Seconds(); due >= 1; due-- {
			if w.l.Take(1) {
				w.queue = append(w.queue, w.at)
			} else {
				w.refused++
			}
		}
		if sinceBatch += step; sinceBatch < w.batch {
			continue
		}
		w.finish(sinceBatch)
		sinceBatch = 0
	}
}

func (w *world) finish(elapsed time.Duration) {
	w.credit += w.capacity * elapsed.Seconds()
	for w.credit >= 1 && len(w.queue) > 0 {
		w.worst = max(w.worst, w.at.Sub(w.queue[0]))
		w.queue = w.queue[1:]
		w.l.Leave(1, true)
		w.done++
		w.credit--
	}
	if len(w.queue) == 0 {
		w.credit = 0
	}
}

// TestOverload: whatever the server can do, ten times as much makes nothing late and
// leaves it busy.
func TestOverload(t *testing.T) {
	capacities := []float64{1000, 5000, 20_000}
	if testing.Short() {
		capacities = capacities[:2]
	}
	for _, capacity := range capacities {
		for _, batch := range []time.Duration{time.Millisecond, 40 * time.Millisecond} {
			w := newWorld(capacity, batch)
			w.run(capacity/2, 2*time.Second)
			if w.refused > 0 {
				t.Errorf("%g/s: half of it, and %d are refused", capacity, w.refused)
			}
			w.run(10*capacity, 5*time.Second) // the limit finds its place
			if most := 5 * time.Second; w.worst > most {
				t.Errorf("%g/s: takes %v at first, more than %v", capacity, w.worst, most)
			}
			w.run(10*capacity, 5*time.Second)
			least := time.Duration(float64(Calls.Min) / capacity * float64(time.Second))
			if most := max(target, least) * 3 / 2; w.worst > most {
				t.Errorf("%g/s: takes %v, more than %v", capacity, w.worst, most)
			}
			right := min(max(capacity*target.Seconds(), float64(Calls.Min)), float64(Calls.Max))
			if limit := float64(w.l.Load().Limit); limit < 0.7*right || limit > 1.3*right ||
				limit > float64(Calls.Max) {
				t.Errorf("%g/s: the limit is %g, not about %g", capacity, limit, right)
			}
			if least := 0.95 * 5 * capacity; float64(w.done) < least {
				t.Errorf("%g/s: does %d, less than %g", capacity, w.done, least)
			}
			w.run(capacity/2, 4*time.Second)
			w.run(capacity/2, 2*time.Second)
			if w.refused > 0 || w.worst > 2*batch+time.Millisecond {
				t.Errorf("%g/s: afterwards %d are refused, and it takes %v",
					capacity, w.refused, w.worst)
			}
		}
	}
}

// TestStall: what does nothing for a while gets little, and all of it again soon.
func TestStall(t *testing.T) {
	w := newWorld(10_000, time.Millisecond)
	w.run(8000, time.Second)
	w.capacity = 0
	w.run(8000, 900*time.Millisecond)
	if limit := w.l.Load().Limit; limit < Calls.Min {
		t.Errorf("the limit is %d after a moment without anything done", limit)
	}
	w.run(8000, 2*time.Second)
	if live := w.l.Load().Live; live > Calls.Idle {
		t.Errorf("%d wait for a server that does nothing", live)
	}
	w.run(8000, time.Second)
	if limit := w.l.Load().Limit; limit != Calls.Stalled {
		t.Errorf("the limit is %d while nothing is done", limit)
	}
	w.capacity = 10_000
	w.run(8000, 2*time.Second)
	w.run(8000, time.Second)
	if w.refused > 0 {
		t.Errorf("%d are refused long after", w.refused)
	}
}

// TestFailuresShowNothing: what fails at once must not look like what is done.
func TestFailuresShowNothing(t *testing.T) {
	at := time.Unix(1, 0)
	l := New(Calls, target, func() time.Time { return at })
	for range Calls.Idle {
		l.Take(1)
	}
	for range 300_000 {
		at = at.Add(100 * time.Microsecond)
		l.Leave(1, false)
		l.Take(1)
	}
	if limit := l.Load().Limit; limit != Calls.Stalled {
		t.Errorf("the limit is %d", limit)
	}
}

// TestClientsThatWait: as many clients as Calls.Min, each of which waits for its answer,
// are never refused, however slow the server, nor after it has stood still for a moment.
func TestClientsThatWait(t *testing.T) {
	w := newWorld(500, 40*time.Millisecond)
	w.l.limit.Store(Calls.Min)
	for second := range 20 {
		for range 1000 {
			w.at = w.at.Add(time.Millisecond)
			for len(w.queue) < int(Calls.Min) && w.refused == 0 {
				if w.queue = append(w.queue, w.at); !w.l.Take(1) {
					w.refused++
				}
			}
			if still := second == 10 && w.at.UnixMilli()%1000 < 900; still {
				continue
			}
			if w.at.UnixMilli()%40 == 0 {
				w.finish(40 * time.Millisecond)
			}
		}
	}
	if w.refused > 0 {
		t.Errorf("refused: %+v", w.l.Load())
	}
}

// TestRoom: few large requests fill a room as many small ones do, each in its own way, and
// what is let in is counted until it leaves, whole.
func TestRoom(t *testing.T) {
	r := NewRoom(WriteLoads, target, time.Now)
	large := int(WriteLoads.Idle / 8)
	for range 8 {
		if !r.Enter(large) {
			t.Fatal("no room in an idle room")
		}
	}
	if r.Enter(1) {
		t.Error("more than the loads allow is let in")
	}
	for i := range Calls.Idle - 8 {
		if !r.Enter(0) {
			t.Fatalf("%d calls are refused because of the load of 8", i)
		}
	}
	if r.Enter(0) || r.Calls.Load().Refused != 1 || r.Loads.Load().Refused != 1 {
		t.Errorf("more calls are let in, or refusals not counted: %+v, %+v",
			r.Calls.Load(), r.Loads.Load())
	}
	r.Hold(large)
	r.Leave(2*large, true)
	for range Calls.Idle - 8 {
		r.Leave(0, true)
	}
	if calls, bytes := r.Live(); calls != 7 || bytes != 7*int64(large) {
		t.Errorf("%d calls with %d bytes are left", calls, bytes)
	}
	if !r.Enter(0) || !r.Take(1) || r.Take(large) && r.Take(1) {
		t.Error("what became free is not let in, or too much is")
	}
	r.Hold(-large)
	if !r.Take(1) {
		t.Error("what is held no more is counted")
	}
}

func TestToward(t *testing.T) {
	for _, c := range []struct {
		from, to int64
		elapsed  time.Duration
		want     int64
	}{
		{100, 200, time.Second, 200},
		{100, 200, time.Hour, 200},
		{100, 200, time.Second / 4, 125},
		{200, 100, time.Second / 4, 175},
		{100, 101, time.Second / 4, 101}, // small steps are not lost
		{101, 100, time.Second / 4, 100},
		{100, 100, time.Second / 4, 100},
	} {
		if got := toward(c.from, c.to, c.elapsed, time.Second); got != c.want {
			t.Errorf("%d to %d in %v: %d, want %d", c.from, c.to, c.elapsed, got, c.want)
		}
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	l := NewRoom(WriteLoads, math.MaxInt64, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		if l.Enter(200) {
			l.Leave(200, true)
		}
	}
}
