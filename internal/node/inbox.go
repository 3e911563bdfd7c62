package node

import (
	"runtime"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// event is one input of a worker: one of its fields is set.
type event struct {
	from     kv.NodeID
	messages []wire.Message
	request  *worker.Request
	saved    []*replica.Replica
	// run is called on the worker's thread.
	run  func(now wire.Instant, w *worker.Worker)
	tick bool
}

// inbox is what waits for a thread. Requests are bounded by the worker, peers'
// messages by the transport's window, the rest by what the thread asked for.
type inbox struct {
	mu     sync.Mutex
	ready  sync.Cond
	queue  []event
	ticked bool
	closed bool
	// due says that somebody is about to wake the thread.
	due bool
}

// put adds an event; after close it reports false. A tick that waits already
// is not added twice: after a stall, time has passed once for elections.
func (b *inbox) put(e event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if e.tick {
		if b.ticked {
			return true
		}
		b.ticked = true
	}
	b.queue = append(b.queue, e)
	if len(b.queue) == 1 || b.due {
		b.ready.Signal()
	}
	return true
}

// putSoon is put for what need not be alone: before it wakes the thread it lets
// others run who may have something to add. Requests that arrive together are then
// taken together, which costs one proposal and one message instead of many.
func (b *inbox) putSoon(e event) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.queue = append(b.queue, e)
	first := len(b.queue) == 1 && !b.due
	b.due = b.due || first
	b.mu.Unlock()
	if first {
		runtime.Gosched()
		b.mu.Lock()
		b.due = false
		b.ready.Signal()
		b.mu.Unlock()
	}
	return true
}

// take returns everything that waits, and waits for something if it must. It
// reuses the memory of the last take. ok is false once the inbox is closed.
func (b *inbox) take(last []event, wait bool) (events []event, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for wait && len(b.queue) == 0 && !b.closed {
		b.ready.Wait()
	}
	clear(last)
	events, b.queue = b.queue, last[:0]
	b.ticked = false
	return events, !b.closed
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.ready.Signal()
	b.mu.Unlock()
}

// len is how many events wait.
func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}
