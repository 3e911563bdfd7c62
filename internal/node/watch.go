package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// Watch implements kv.Store.
func (n *Node) Watch(ctx context.Context) (kv.WatchStream, error) {
	h := n.hub.Load()
	if h == nil {
		return nil, fmt.Errorf("%w: %s", kv.ErrNotReady, n.waitingFor())
	}
	s := &watchStream{
		hub: h, woken: make(chan struct{}, 1), ended: make(chan struct{}),
		watches: map[kv.WatchID]bool{}, adding: map[kv.WatchID]chan error{},
		leaveWaiting: func() bool { return false },
	}
	if err := h.open(ctx, s); err != nil {
		return nil, err
	}
	leave := context.AfterFunc(ctx, s.Close)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaveContext = leave; s.closed {
		leave()
	}
	return s, nil
}

// open registers a stream.
func (h *hub) open(ctx context.Context, s *watchStream) error {
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		return kv.ErrStopped
	}
	h.lastID++
	s.id = h.lastID
	h.streams[s.id] = s
	h.mu.Unlock()
	opened := make(chan bool, 1)
	h.put(func(_ wire.Instant, m *watch.Hub) { opened <- m.Open(s.id) })
	select {
	case ok := <-opened:
		if ok {
			return nil
		}
		s.Close()
		return fmt.Errorf("%w: the node has %d watch streams", kv.ErrTooManyRequests,
			h.node.cfg.lab.watches.StreamsMax)
	case <-ctx.Done():
		s.Close()
		return context.Cause(ctx)
	case <-s.ended:
		return kv.ErrStopped
	}
}

// watchStream is the receiver's end of a stream.
type watchStream struct {
	hub *hub
	id  watch.StreamID
	// woken has room for one word that there is something for Next; ended is
	// closed at the end.
	woken        chan struct{}
	ended        chan struct{}
	leaveContext func() bool

	mu     sync.Mutex
	queue  deliveries
	lastID kv.WatchID
	// watches are those that the receiver wants to hear of, adding those that
	// have not begun.
	watches map[kv.WatchID]bool
	adding  map[kv.WatchID]chan error
	// taken are the bytes taken that the hub was not told of.
	taken  int
	closed bool
	// waiting is the context that Next waited with last. Its end wakes Next,
	// until leaveWaiting is called.
	waiting      context.Context
	leaveWaiting func() bool
}

// Add implements kv.WatchStream.
func (s *watchStream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	if err := s.hub.node.cfg.Limits.CheckWatch(&req); err != nil {
		return 0, err
	}
	begun := make(chan error, 1)
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.watches[id], s.adding[id] = true, begun
	s.mu.Unlock()
	s.hub.put(func(now wire.Instant, m *watch.Hub) { m.Add(now, s.id, id, req) })
	timeout := time.NewTimer(s.hub.node.cfg.RequestTimeout)
	defer timeout.Stop()
	var err error
	select {
	case err = <-begun:
	case <-s.ended:
		err = kv.ErrStopped
	case <-timeout.C:
		err = fmt.Errorf("%w: nobody tells the current revision", kv.ErrTimeout)
	}
	if err != nil {
		s.Remove(id)
		return 0, err
	}
	return id, nil
}

// begun wakes an Add.
func (s *watchStream) begun(id kv.WatchID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch, ok := s.adding[id]; ok {
		delete(s.adding, id)
		ch <- err
	}
}

// Remove implements kv.WatchStream.
func (s *watchStream) Remove(id kv.WatchID) {
	s.mu.Lock()
	known := s.watches[id]
	delete(s.watches, id)
	delete(s.adding, id)
	s.queue.drop(func(d watch.Delivery) bool {
		if d.Response.ID != id {
			return false
		}
		s.taken += d.Bytes
		return true
	})
	s.tell()
	s.mu.Unlock()
	if known {
		s.hub.put(func(now wire.Instant, m *watch.Hub) { m.Remove(now, s.id, id) })
	}
}

// Progress implements kv.WatchStream.
func (s *watchStream) Progress() {
	s.hub.put(func(now wire.Instant, m *watch.Hub) { m.Progress(now, s.id) })
}

// Next implements kv.WatchStream.
func (s *watchStream) Next(ctx context.Context) (kv.WatchResponse, error) {
	for {
		if resp, ok, err := s.next(ctx); ok || err != nil {
			return resp, err
		}
		<-s.woken
	}
}

// next takes the next response, if there is one and the stream is open. If
// there may be one later the stream is woken then, or when ctx ends.
func (s *watchStream) next(ctx context.Context) (resp kv.WatchResponse, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return resp, false, kv.ErrStopped
	case !s.queue.empty():
		return s.take(), true, nil
	case ctx.Err() != nil:
		return resp, false, ctx.Err()
	case ctx != s.waiting:
		s.leaveWaiting()
		s.waiting, s.leaveWaiting = ctx, context.AfterFunc(ctx, s.wake)
	}
	return resp, false, nil
}

// take takes the first response of the queue. s.mu is held.
func (s *watchStream) take() kv.WatchResponse {
	d := s.queue.pop()
	if d.Response.Compacted != 0 {
		delete(s.watches, d.Response.ID)
	}
	s.taken += d.Bytes
	s.tell()
	return d.Response
}

// wake has Next look again.
func (s *watchStream) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// tell reports what was taken, in portions that the hub reckons with.
func (s *watchStream) tell() {
	if bytes := s.taken; bytes >= s.hub.node.cfg.lab.watches.ReportBytes() {
		s.taken = 0
		s.hub.put(func(now wire.Instant, m *watch.Hub) { m.Consumed(now, s.id, bytes) })
	}
}

// deliver queues what is for the receiver.
func (s *watchStream) deliver(list []watch.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range list {
		if d.Response.ID != 0 && !s.watches[d.Response.ID] {
			s.taken += d.Bytes // it was removed meanwhile
			continue
		}
		s.queue.push(d)
	}
	s.tell()
	s.wake()
}

// Close implements kv.WatchStream.
func (s *watchStream) Close() {
	s.hub.mu.Lock()
	delete(s.hub.streams, s.id)
	s.hub.mu.Unlock()
	s.hub.put(func(now wire.Instant, m *watch.Hub) { m.Close(now, s.id) })
	s.end()
}

// end wakes everybody who waits.
func (s *watchStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.queue = true, deliveries{}
	s.leaveWaiting()
	close(s.ended)
	s.wake()
	if s.leaveContext != nil {
		s.leaveContext()
	}
}
