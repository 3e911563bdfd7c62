package nodetest

import (
	"sync/atomic"
	"testing"
	"time"
)

// lateness adds up for how long the machine kept this process from running. What takes
// long then says nothing of the nodes, which had to wait as well.
type lateness struct{ total atomic.Int64 }

// lateTick is how often it looks, and what it takes for a delay.
const lateTick = 2 * time.Millisecond

func watchLateness(t *testing.T) *lateness {
	var l lateness
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		tick := time.NewTimer(lateTick)
		for begun := time.Now(); ; begun = time.Now() {
			tick.Reset(lateTick)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			if late := time.Since(begun) - lateTick; late > lateTick {
				l.total.Add(int64(late))
			}
		}
	}()
	return &l
}

// lateFactor is how much longer something takes for each time that it is kept waiting: it
// goes through several processes, one after the other.
const lateFactor = 4

// since is the time from begin on, without what the machine is to blame for; before is
// what total returned at begin.
func (l *lateness) since(begin time.Time, before time.Duration) time.Duration {
	return time.Since(begin) - lateFactor*(l.now()-before)
}

func (l *lateness) now() time.Duration { return time.Duration(l.total.Load()) }
