package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Time is virtual: nanoseconds since the run began.
type Time int64

// world owns time, order and chance. Whatever happens is an event in its
// queue; events of one moment happen in the order they were scheduled.
type world struct {
	now   Time
	rng   *rand.Rand
	trace *Trace
	seq   uint64
	queue []event
	steps int
}

// stepsMax bounds the events of a run, about ten times what one has.
const stepsMax = 300_000

type event struct {
	at  Time
	seq uint64
	do  func()
}

func newWorld(seed uint64, trace *Trace) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 0x5eed)), trace: trace}
}

// by does something that draws from another source of chance, so that who draws more
// or less there changes nothing of what others draw.
func (w *world) by(rng *rand.Rand, do func()) {
	old := w.rng
	w.rng = rng
	do()
	w.rng = old
}

// at schedules an event; one in the past happens now.
func (w *world) at(t Time, do func()) {
	w.seq++
	w.queue = append(w.queue, event{at: max(t, w.now), seq: w.seq, do: do})
	for i := len(w.queue) - 1; i > 0; {
		parent := (i - 1) / 2
		if !w.queue[i].before(w.queue[parent]) {
			return
		}
		w.queue[i], w.queue[parent] = w.queue[parent], w.queue[i]
		i = parent
	}
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+Time(d), do) }

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// step lets the next event happen; false means that there is none.
func (w *world) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	if w.steps++; w.steps > stepsMax {
		panic(failure{fmt.Errorf("%d events are too many: somebody is in a loop", w.steps)})
	}
	next := w.queue[0]
	last := len(w.queue) - 1
	w.queue[0], w.queue[last] = w.queue[last], event{}
	w.queue = w.queue[:last]
	w.sink()
	w.now = next.at
	next.do()
	return true
}

// sink brings the first event of the queue to its place.
func (w *world) sink() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(w.queue); child++ {
			if w.queue[child].before(w.queue[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		w.queue[i], w.queue[least] = w.queue[least], w.queue[i]
		i = least
	}
}

// chance is true with probability p.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// between is a duration drawn evenly from [low, high).
func (w *world) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

// around is a duration drawn exponentially with a mean.
func (w *world) around(mean time.Duration) time.Duration {
	return time.Duration(math.Min(w.rng.ExpFloat64(), 8) * float64(mean))
}
