package watch

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// progress is a question of a stream: when have all its watches got as far as
// now?
type progress struct {
	stream *stream
	// at is what now was, 0 until the oracle told.
	at kv.Revision
	// waiting are the watches that may not be there yet.
	waiting []*watch
}

// awaitProgress takes the question.
func (h *Hub) awaitProgress(s *stream) {
	p := &progress{stream: s, waiting: s.sorted()}
	if len(s.asked) == 0 {
		h.asking = append(h.asking, s)
	}
	s.asked = append(s.asked, p)
	h.oracle.waiting.progresses = append(h.oracle.waiting.progresses, p)
}

// toldProgress has the readers of the watches get there.
func (h *Hub) toldProgress(p *progress, current kv.Revision) {
	p.at = current
	for _, w := range p.waiting {
		switch w.state {
		case live:
			w.group.require(current)
		case chasing:
			w.chase.require(current)
		}
	}
	h.progress()
}

// progress answers the questions whose watches have all got there.
func (h *Hub) progress() {
	if len(h.asking) == 0 {
		return
	}
	h.asking = slices.DeleteFunc(h.asking, func(s *stream) bool {
		for len(s.asked) > 0 && s.asked[0].done() && h.room(s) {
			h.deliver(s, kv.WatchResponse{Revision: s.asked[0].at}, 0)
			s.asked = s.asked[1:]
		}
		return len(s.asked) == 0
	})
}

// done reports whether all watches have got there. What has, does not go back.
func (p *progress) done() bool {
	for p.at != 0 && len(p.waiting) > 0 {
		w := p.waiting[len(p.waiting)-1]
		if w.state != ended && w.position() < p.at {
			return false
		}
		p.waiting = p.waiting[:len(p.waiting)-1]
	}
	return p.at != 0
}
