package netlab

import (
	"container/heap"
	"sync"
	"time"
)

// delayedMax bounds the packets under way to a host; a router has as little room.
const delayedMax = 4096

// delayed are the packets that will reach a host later. A goroutine of the
// Network delivers them.
type delayed struct {
	mu      sync.Mutex
	packets packetHeap
	// wake has a token when there is an earlier packet than before.
	wake chan struct{}
}

type packet struct {
	due  time.Time
	data []byte
}

func newDelayed() *delayed { return &delayed{wake: make(chan struct{}, 1)} }

// add takes over data, and reports whether there was room for it.
func (d *delayed) add(due time.Time, data []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.packets) >= delayedMax {
		return false
	}
	heap.Push(&d.packets, packet{due, data})
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return true
}

// next is a packet that is due, or how long there is none.
func (d *delayed) next(now time.Time) (data []byte, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.packets) == 0 {
		return nil, time.Hour
	}
	if wait = d.packets[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&d.packets).(packet).data, 0
}

// run delivers until stop is closed.
func (d *delayed) run(stop <-chan struct{}, deliver func([]byte)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		data, wait := d.next(time.Now())
		if data != nil {
			deliver(data)
			continue
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-d.wake:
		case <-timer.C:
		}
	}
}

// packetHeap has the earliest packet first.
type packetHeap []packet

func (h packetHeap) Len() int           { return len(h) }
func (h packetHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h packetHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *packetHeap) Push(x any) { *h = append(*h, x.(packet)) }

// Pop implements heap.Interface.
func (h *packetHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = packet{}
	*h = (*h)[:last]
	return p
}
