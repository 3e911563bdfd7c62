package grpcserver

import (
	"sync"
	"sync/atomic"
)

// idleMax is how many goroutines wait for unary calls. Their stacks have grown to
// what handlers need, which costs a new goroutine more than the rest of its life.
const idleMax = 64

// workers are goroutines that run unary calls one after the other.
type workers struct {
	calls   chan unaryCall
	idle    atomic.Int32
	stopped chan struct{}
	once    sync.Once
}

type unaryCall struct {
	stream  *stream
	message *buffer
}

func (w *workers) init() {
	w.calls, w.stopped = make(chan unaryCall), make(chan struct{})
}

// stop ends those that are idle, and the others after their calls.
func (w *workers) stop() { w.once.Do(func() { close(w.stopped) }) }

// call has an idle goroutine run a call, or a new one.
func (s *Server) call(st *stream, message *buffer) {
	call := unaryCall{st, message}
	select {
	case s.workers.calls <- call:
	default:
		s.running.Go(func() { s.work(call) })
	}
}

// work runs a call, and then others, unless there are many who do.
func (s *Server) work(call unaryCall) {
	w := &s.workers
	for {
		call.stream.call(call.message)
		call = unaryCall{}
		if w.idle.Add(1) > idleMax {
			w.idle.Add(-1)
			return
		}
		select {
		case call = <-w.calls:
			w.idle.Add(-1)
		case <-w.stopped:
			return
		}
	}
}
