package netlab

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func newTestLink(c Condition) *link {
	return &link{condition: c, rng: rand.New(rand.NewPCG(1, 2))}
}

// TestFate: each condition does what it says, as often as it says.
func TestFate(t *testing.T) {
	const packets = 10_000
	for _, c := range []struct {
		condition   Condition
		least, most int // of lost packets
	}{
		{Condition{}, 0, 0},
		{Condition{Cut: true}, packets, packets},
		{Condition{Loss: 0.2}, 1800, 2200},
		{Condition{Delay: time.Second, Jitter: time.Second}, 0, 0},
		{Condition{Loss: 0.5, Delay: time.Second}, 4800, 5200},
	} {
		l, lost, last, overtaken := newTestLink(c.condition), 0, time.Duration(0), 0
		for range packets {
			gone, delay := l.fate()
			if gone {
				lost++
				continue
			}
			if delay < c.condition.Delay || delay > c.condition.Delay+c.condition.Jitter {
				t.Fatalf("%+v delays by %v", c.condition, delay)
			}
			if delay < last {
				overtaken++
			}
			last = delay
		}
		if lost < c.least || lost > c.most {
			t.Errorf("%+v loses %d of %d", c.condition, lost, packets)
		}
		if (c.condition.Jitter > 0) != (overtaken > 0) {
			t.Errorf("%+v: %d packets are overtaken", c.condition, overtaken)
		}
	}
}

// TestDelayed: packets come when they are due, in that order, and a queue that is
// full takes no more.
func TestDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, stop, begin := newDelayed(), make(chan struct{}), time.Now()
		got := make(chan time.Duration, delayedMax)
		go d.run(stop, func(data []byte) {
			if at := time.Since(begin); at != time.Duration(data[0])*time.Second {
				t.Errorf("packet %d comes after %v", data[0], at)
			}
			got <- time.Since(begin)
		})
		for _, due := range []byte{5, 1, 3, 2, 4} {
			synctest.Wait() // so that an earlier packet has to wake the queue
			d.add(begin.Add(time.Duration(due)*time.Second), []byte{due})
		}
		for i := 1; i <= 5; i++ {
			if at := <-got; at != time.Duration(i)*time.Second {
				t.Errorf("packet %d comes after %v", i, at)
			}
		}
		taken := 0
		for range delayedMax + 10 {
			if d.add(begin.Add(time.Minute), []byte{60}) {
				taken++
			}
		}
		if taken != delayedMax {
			t.Errorf("%d packets are taken, %d is the most", taken, delayedMax)
		}
		close(stop)
	})
}
