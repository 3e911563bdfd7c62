package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aheadMax is how many puts the writer may be ahead of what all watchers have heard: the load
	// stays a closed loop, and queues in the servers bounded.
	aheadMax = 4
	// sequenceBytes is the number of a put, at the start of its value.
	sequenceBytes = 8
)

// fanout is the watch workload: one writer, whose values begin with the number of the put, and
// watchers that hear of each put once, in order. A connection has one stream with its part of the
// watchers, as etcd's client library has.
type fanout struct {
	run      *run
	workload *Workload
	created  sync.WaitGroup
	streams  []*watchStream
	put      func() // begins the writer's next put

	delivered atomic.Int64
	start     time.Time
	// sent is when puts were asked for, in ns since start, by their number modulo its length: as
	// many as a watcher can be behind.
	sent []atomic.Int64

	mu      sync.Mutex
	written uint64 // by mu: the last put's number
	busy    bool   // by mu: a put is under way
	ended   bool   // by mu: no other follows
}

func newFanout(w *Workload) *fanout {
	f := &fanout{run: newRun(), workload: w, start: time.Now()}
	f.sent = make([]atomic.Int64, aheadMax*w.Watchers+1)
	f.created.Add(w.Watchers)
	return f
}

// awaitCreated waits until all watchers are there.
func (f *fanout) awaitCreated() error {
	created := make(chan struct{})
	go func() {
		f.created.Wait()
		close(created)
	}()
	timer := time.NewTimer(stopMax)
	defer timer.Stop()
	select {
	case err := <-f.run.failed:
		return err
	case <-timer.C:
		return errors.New("load: watchers were not created")
	case <-created:
		return nil
	}
}

// measure writes while the window passes, and waits for what is on its way to watchers.
func (f *fanout) measure(window Window) (*Result, error) {
	f.run.clients.Add(1)
	f.proceed()
	result := &Result{}
	if err := f.run.measure(window, result); err != nil {
		return nil, err
	}
	if err := f.awaitDelivered(); err != nil {
		return nil, err
	}
	for _, stream := range f.streams {
		result.Latency.merge(&stream.latency)
	}
	result.Count = result.Latency.count
	return result, nil
}

func (f *fanout) awaitDelivered() error {
	deadline := time.Now().Add(stopMax)
	want := int64(f.written) * int64(f.workload.Watchers)
	for f.delivered.Load() < want {
		if time.Now().After(deadline) {
			return fmt.Errorf("load: %d deliveries, want %d", f.delivered.Load(), want)
		}
		if err := f.run.wait(time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// next numbers the puts.
func (f *fanout) next(c *chance, r *Request) bool {
	f.workload.next(c, r)
	f.mu.Lock()
	number := f.written
	f.mu.Unlock()
	value := binary.BigEndian.AppendUint64(make([]byte, 0, len(r.Value)+sequenceBytes), number)
	r.Value = append(value, r.Value[min(sequenceBytes, len(r.Value)):]...)
	f.sent[number%uint64(len(f.sent))].Store(int64(time.Since(f.start)))
	return true
}

func (f *fanout) acknowledged() {
	f.mu.Lock()
	f.busy = false
	f.mu.Unlock()
	f.proceed()
}

// proceed puts again, if no put is under way and watchers are not too far behind. It is called
// after each put, and each time that one more has reached as many watchers as there are.
func (f *fanout) proceed() {
	if f.mayPut() {
		f.put()
	}
}

func (f *fanout) mayPut() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	watchers := int64(f.workload.Watchers)
	ahead := int64(f.written)*watchers - f.delivered.Load()
	if f.busy || f.ended || ahead > (aheadMax-1)*watchers {
		return false
	}
	if f.run.stopping.Load() {
		f.ended = true
		f.run.clients.Done()
		return false
	}
	f.busy = true
	f.written++
	return true
}

// deliver counts an event; each watcher hears of all puts in order.
func (s *watchStream) deliver(watchID int64, number uint64, now time.Duration) error {
	last := &s.heard[watchID-1]
	if number != *last+1 {
		return fmt.Errorf("load: watcher %d hears of put %d after %d", watchID, number, *last)
	}
	*last = number
	f := s.fanout
	if f.run.recording.Load() {
		sent := f.sent[number%uint64(len(f.sent))].Load()
		s.latency.add(now - time.Duration(sent))
	}
	if f.delivered.Add(1)%int64(f.workload.Watchers) == 0 {
		f.proceed()
	}
	return nil
}
