package httpclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/miruvor/miruvor/internal/kv"
)

// round is a question for progress: every watch that was there when the round
// began has to get to target. The node that serves it is asked to tell as soon
// as it does; a connection that is opened later is told without that.
type round struct {
	// target is a revision that was current after the question, 0 until that
	// is known.
	target kv.Revision
	// left are the watches that are not there yet.
	left map[kv.WatchID]bool
	// reached is the lowest revision told so far, RevisionMax before.
	reached kv.Revision
	// answers is how many calls of Progress wait for it.
	answers int
}

// Progress implements kv.WatchStream.
func (s *stream) Progress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.asked++
	if s.round == nil {
		s.beginRound()
	}
}

// beginRound answers the calls of Progress so far. The stream is locked.
func (s *stream) beginRound() {
	r := &round{left: map[kv.WatchID]bool{}, reached: kv.RevisionMax, answers: s.asked}
	s.round, s.asked = r, 0
	for id, w := range s.watches {
		if !w.ended {
			r.left[id] = true
		}
	}
	s.running.Go(func() { s.askAll(r) })
}

// askAll has all watches of a round tell their progress.
func (s *stream) askAll(r *round) {
	target := s.current()
	s.mu.Lock()
	r.target = target
	var open []*connection
	for id := range r.left {
		if conn := s.watches[id].conn; conn != nil {
			conn.round = r
			open = append(open, conn)
		}
	}
	s.endRound()
	s.mu.Unlock()
	for _, conn := range open {
		s.client.askProgress(s.ctx, conn)
	}
}

// askProgress has the node tell progress on conn. If it does not know how, as
// when another node got the request, a new connection is told.
func (c *Client) askProgress(ctx context.Context, conn *connection) {
	ctx, cancel := context.WithTimeout(ctx, openMax)
	defer cancel()
	_, err := c.attempt(ctx, conn.endpoint, &call{
		method: http.MethodPost, path: "/v1/watch/" + url.PathEscape(conn.name) + "/progress",
	})
	if err != nil {
		conn.cancel(errReopen)
	}
}

// opened notes the connection that w is on now, nil if none, and tells whether
// it has to be asked for the progress of a round that began meanwhile.
func (s *stream) opened(w *watch, conn *connection) (ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.conn = conn
	r := s.round
	return conn != nil && r != nil && r.target != 0 && r.left[w.id] && conn.round != r
}

// targeted is the round under way, if it is known where it leads: a request
// from now on is told soon enough.
func (s *stream) targeted() *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.round == nil || s.round.target == 0 {
		return nil
	}
	return s.round
}

// progressed notes that w told everything up to revision.
func (s *stream) progressed(w *watch, revision kv.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.round; r != nil && r.target != 0 && revision >= r.target {
		s.leaveRound(w, revision)
	}
}

// end notes that w tells nothing any more.
func (s *stream) end(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.ended = true
	s.leaveRound(w, kv.RevisionMax)
}

// leaveRound notes that w got to revision, or that it is gone, which is
// RevisionMax. The stream is locked.
func (s *stream) leaveRound(w *watch, revision kv.Revision) {
	if r := s.round; r != nil && r.left[w.id] {
		delete(r.left, w.id)
		r.reached = min(r.reached, revision)
		if r.target != 0 {
			s.endRound()
		}
	}
}

// endRound answers the round if nothing is left to wait for. What the watches
// told before stands before it in the stream. The stream is locked.
func (s *stream) endRound() {
	r := s.round
	if len(r.left) > 0 || s.closed {
		return
	}
	if r.reached == kv.RevisionMax {
		r.reached = r.target
	}
	s.running.Go(func() {
		for range r.answers {
			s.tell(s.ctx, kv.WatchResponse{Revision: r.reached})
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.round = nil; s.asked > 0 && !s.closed {
			s.beginRound()
		}
	})
}

// current is the cluster's revision, 0 if the stream ends before it is known.
func (s *stream) current() kv.Revision {
	var pause backoff
	for {
		resp, err := s.client.Range(s.ctx, kv.RangeRequest{Range: kv.PointRange([]byte{0})})
		if err == nil || !pause.wait(s.ctx) {
			return resp.Revision
		}
	}
}
