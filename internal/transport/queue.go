package transport

import (
	"sync"

	"github.com/miruvor/miruvor/internal/wire"
)

// queue holds what waits to be sent to a peer. It is open while there is a
// connection, or hope for one: what is put into a closed queue is dropped at
// once, so that nobody waits for a node that is down.
type queue struct {
	bytesMax, messagesMax int
	// ready holds a token after something was put.
	ready chan struct{}

	mu    sync.Mutex
	open  bool
	msgs  []wire.Message
	bytes int
}

func newQueue(l Limits) *queue {
	return &queue{
		bytesMax: l.QueueBytesMax, messagesMax: l.QueueMessagesMax,
		ready: make(chan struct{}, 1), open: true,
	}
}

// put adds messages up to the first that does not fit and returns how many
// it added.
func (q *queue) put(msgs []wire.Message) int {
	q.mu.Lock()
	taken := q.putLocked(msgs)
	q.mu.Unlock()
	if taken > 0 {
		select {
		case q.ready <- struct{}{}:
		default:
		}
	}
	return taken
}

func (q *queue) putLocked(msgs []wire.Message) int {
	if !q.open {
		return 0
	}
	for i := range msgs {
		size := msgs[i].SizeHint()
		if q.bytes+size > q.bytesMax || len(q.msgs) == q.messagesMax {
			return i
		}
		q.bytes += size
		q.msgs = append(q.msgs, msgs[i])
	}
	return len(msgs)
}

// take empties the queue. It keeps spare to put the next messages in.
func (q *queue) take(spare []wire.Message) []wire.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs := q.msgs
	q.msgs, q.bytes = spare[:0], 0
	return msgs
}

// shut closes the queue and empties it.
func (q *queue) shut() []wire.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs := q.msgs
	q.open, q.msgs, q.bytes = false, nil, 0
	return msgs
}

// reopen makes the queue take messages again.
func (q *queue) reopen() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = true
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.msgs)
}
