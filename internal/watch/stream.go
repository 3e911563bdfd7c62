package watch

import (
	"cmp"
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
)

// stream carries watches to one receiver.
type stream struct {
	id      StreamID
	watches map[kv.WatchID]*watch
	// bytes are those delivered and not taken.
	bytes int
	// stalled are the watches that wait for room; some may have ended.
	stalled []*watch
	// asked are the progresses that are not answered, in their order.
	asked []*progress
}

func newStream(id StreamID) *stream {
	return &stream{id: id, watches: map[kv.WatchID]*watch{}}
}

func (s *stream) sorted() []*watch {
	return slices.SortedFunc(maps.Values(s.watches), func(a, b *watch) int {
		return cmp.Compare(a.id, b.id)
	})
}

// state is where a watch gets its events from.
type state uint8

const (
	// asking the oracle where now is.
	asking state = iota
	// queued for a chase, and chasing: behind its group.
	queued
	chasing
	// live in its group.
	live
	// stalled until its stream has room.
	stalled
	ended
)

// watch is one watch of a stream.
type watch struct {
	id     kv.WatchID
	stream *stream
	// number orders the watches of the node.
	number uint64
	req    kv.WatchRequest
	shards []kv.ShardID
	state  state
	// begun says that pos is known. Nothing at or below pos is delivered any
	// more; a live watch has got as far as its group besides.
	begun bool
	pos   kv.Revision
	// level is what was current when the watch began to catch up.
	level kv.Revision
	group *group
	chase *chase
	batch batch
}

// wants reports whether an event is to be delivered.
func (w *watch) wants(e *kv.Event) bool {
	filtered := w.req.NoPut
	if e.Deleted {
		filtered = w.req.NoDelete
	}
	return !filtered && e.KV.ModRevision > w.pos && w.req.Contains(e.KV.Key)
}

// position is the revision that the watch has got to.
func (w *watch) position() kv.Revision {
	switch w.state {
	case live:
		return max(w.pos, w.group.pos)
	case chasing:
		return max(w.pos, w.chase.pos)
	}
	return w.pos
}

// batch gathers events of a watch out of a slice that it shares with others.
type batch struct {
	events []kv.Event
	// first is where in the slice events begin; -1 says that they are a copy.
	first int
	bytes int
	// of is how many events the shared slice has.
	of int
}

// add takes the i'th of all. Neighbours need no copy.
func (b *batch) add(all []kv.Event, i int) {
	n := len(b.events)
	switch {
	case n == 0:
		b.events, b.first, b.of = all[i:i+1:i+1], i, len(all)
	case b.first >= 0 && b.first+n == i:
		b.events = all[b.first : i+1 : i+1]
	default: // a shared slice has no room behind: it is copied and left alone
		b.events, b.first = append(b.events, all[i]), -1
	}
	b.bytes += eventSize(&all[i])
}

// take empties the batch.
func (b *batch) take() batch {
	taken := *b
	*b = batch{}
	return taken
}

// sparse is of how many events one has to be used to share a slice. A queue that
// held on to many slices for the sake of one event each would take more memory
// than it reckons with.
const sparse = 4

// own are the events, on their own where the shared slice is mostly others'.
func (b *batch) own() []kv.Event {
	if b.first >= 0 && len(b.events)*sparse < b.of {
		return slices.Clone(b.events)
	}
	return b.events
}

// responseBytes and eventBytes are what a response and an event take beside keys
// and values.
const (
	responseBytes = 64
	eventBytes    = 128
)

func eventSize(e *kv.Event) int {
	n := eventBytes + len(e.KV.Key) + len(e.KV.Value)
	if e.Prev != nil {
		n += len(e.Prev.Key) + len(e.Prev.Value)
	}
	return n
}

// room reports whether a stream takes something. One that is as good as empty
// always does.
func (h *Hub) room(s *stream) bool {
	b := &h.cfg.Bounds
	full := s.bytes >= b.QueueBytesMax || h.load.QueueBytes >= b.AllBytesMax
	return s.bytes <= b.ReportBytes() || !full
}

// deliver puts a response into its stream's queue.
func (h *Hub) deliver(s *stream, resp kv.WatchResponse, bytes int) {
	bytes += responseBytes
	s.bytes += bytes
	h.load.QueueBytes += bytes
	h.load.Events += uint64(len(resp.Events))
	h.effects.Deliveries = append(h.effects.Deliveries, Delivery{s.id, resp, bytes})
}

// tell delivers a batch of a watch, which ends at upTo. It reports false, and
// delivers nothing, if there is no room.
func (h *Hub) tell(w *watch, b batch, upTo kv.Revision) bool {
	if len(b.events) == 0 {
		return true
	}
	if !h.room(w.stream) {
		return false
	}
	resp := kv.WatchResponse{ID: w.id, Revision: upTo, Events: b.own()}
	h.deliver(w.stream, resp, b.bytes)
	return true
}

// end tells a watch that what it asks for is compacted, and forgets it.
func (h *Hub) end(w *watch, floor kv.Revision) {
	h.deliver(w.stream, kv.WatchResponse{ID: w.id, Compacted: floor}, 0)
	h.drop(w)
}

// stall puts a watch aside until its stream has room.
func (h *Hub) stall(w *watch) {
	h.detach(w)
	w.state = stalled
	w.stream.stalled = append(w.stream.stalled, w)
}

// stallAt puts a watch aside that has got as far as after, and no further,
// whatever its reader has.
func (h *Hub) stallAt(w *watch, after kv.Revision) {
	if h.cfg.Mutant == mutant.ResumeLate {
		after++
	}
	pos := max(w.pos, after)
	h.stall(w)
	w.pos = pos
}

// resume lets stalled watches catch up once half of the queue is free.
func (h *Hub) resume(s *stream) {
	if len(s.asked) > 0 {
		h.progress()
	}
	if len(s.stalled) == 0 || s.bytes > h.cfg.Bounds.QueueBytesMax/2 || !h.room(s) {
		return
	}
	list := s.stalled
	s.stalled = nil
	for _, w := range list {
		if w.state == stalled {
			h.await(w)
		}
	}
}

// detach takes a watch out of its group or chase.
func (h *Hub) detach(w *watch) {
	switch w.state {
	case live:
		h.leave(w)
	case chasing:
		w.pos = w.position()
		h.endChase(w.chase)
	}
}
