package httpclient

import (
	"context"
	"fmt"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// watchesMax bounds the watches of a stream, each of which is a connection.
const watchesMax = 1024

// stream is a kv.WatchStream whose watches are requests of their own. Each has
// a goroutine, which Close and the end of the stream's context stop.
type stream struct {
	client *Client
	// ctx is what the stream lives in, ended by Close.
	ctx    context.Context
	cancel context.CancelFunc
	// out is what the watches tell, taken by Next. It has no room, so a watch
	// goes on once the last that it told is taken.
	out     chan kv.WatchResponse
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	last    kv.WatchID
	watches map[kv.WatchID]*watch
	// round is the question for progress under way; asked counts the calls of
	// Progress that came too late for it.
	round *round
	asked int
}

// Watch implements kv.Store. Its watches outlive the connections that they
// are on: they go on exactly behind what was told last, with any endpoint. Only
// to Add is it told when none can be reached.
func (c *Client) Watch(ctx context.Context) (kv.WatchStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", kv.ErrTimeout, err)
	}
	s := &stream{
		client:  c,
		out:     make(chan kv.WatchResponse),
		watches: map[kv.WatchID]*watch{},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s, nil
}

// Add implements kv.WatchStream. It returns once a node serves the watch, or
// says that what it asks for is compacted.
func (s *stream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	if s.ctx.Err() != nil {
		return 0, kv.ErrStopped
	}
	w := newWatch(s, &req)
	conn, err := w.open()
	if w.compacted != 0 {
		err = nil
	}
	if err == nil {
		err = s.join(w, conn)
	}
	if err != nil {
		w.cancel()
		if conn != nil {
			conn.close()
		}
		if s.ctx.Err() != nil {
			return 0, kv.ErrStopped
		}
		return 0, err
	}
	return w.id, nil
}

// join makes w, which conn was opened for, one of the stream's watches.
func (s *stream) join(w *watch, conn *connection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return kv.ErrStopped
	case len(s.watches) == watchesMax:
		return fmt.Errorf("%w: the stream has %d watches, which is the most",
			kv.ErrTooManyRequests, watchesMax)
	}
	s.last++
	w.id, w.conn = s.last, conn
	s.watches[w.id] = w
	s.running.Go(func() { w.run(conn) })
	return nil
}

// Remove implements kv.WatchStream.
func (s *stream) Remove(id kv.WatchID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[id]
	if w == nil {
		return
	}
	delete(s.watches, id)
	w.cancel()
	s.leaveRound(w, kv.RevisionMax)
}

// Next implements kv.WatchStream.
func (s *stream) Next(ctx context.Context) (kv.WatchResponse, error) {
	for {
		if err := ctx.Err(); err != nil {
			return kv.WatchResponse{}, err
		}
		select {
		case resp := <-s.out:
			if s.wanted(&resp) {
				return resp, nil
			}
		case <-ctx.Done():
		case <-s.ctx.Done():
			return kv.WatchResponse{}, kv.ErrStopped
		}
	}
}

// wanted tells whether resp is of a watch that is still there, and forgets one
// that ends with it.
func (s *stream) wanted(resp *kv.WatchResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if resp.ID == 0 {
		return true
	}
	w := s.watches[resp.ID]
	if w != nil && resp.Compacted != 0 {
		delete(s.watches, resp.ID)
		s.leaveRound(w, kv.RevisionMax)
	}
	return w != nil
}

// Close implements kv.WatchStream. It waits until no request is under way.
func (s *stream) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// tell hands resp to Next, unless ctx ends before.
func (s *stream) tell(ctx context.Context, resp kv.WatchResponse) {
	select {
	case s.out <- resp:
	case <-ctx.Done():
	}
}
