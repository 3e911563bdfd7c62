package watch

import (
	"bytes"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// StreamID names a stream of the node. It is never 0 and never used twice.
type StreamID uint64

// Hub is a node's end of all watches. See the package documentation.
type Hub struct {
	cfg     Config
	now     wire.Instant
	streams map[StreamID]*stream
	groups  groups
	chases  chases
	oracle  oracle
	// places are those that an answer may come for, by request.
	places map[uint64]*place
	// asking are the progresses that streams wait for.
	asking []*stream
	// live counts the watches that are level with their group.
	live    int
	lastID  uint64
	numbers uint64
	load    Load
	effects Effects
	// spare is for the deliveries of a pass after this.
	spare []Delivery
}

// Effects are what a pass wants done, each kind in its order. The slices are
// the caller's, who may give them back with Reuse.
type Effects struct {
	Sends      []Send
	Begun      []Begun
	Deliveries []Delivery
}

// Send is a request on its way to a node, which may be this one.
type Send struct {
	To      kv.NodeID
	Request *wire.Request
}

// Begun answers an Add: every event from now on is delivered, or Err tells why
// there is no watch. Deliveries to the watch follow.
type Begun struct {
	Stream StreamID
	ID     kv.WatchID
	Err    error
}

// Delivery is something for the receiver of a stream, who owns the response, but
// not the slices in it: others have them too, and nobody changes them. Bytes are to be
// told to Consumed once it was taken.
type Delivery struct {
	Stream   StreamID
	Response kv.WatchResponse
	Bytes    int
}

// Load is how busy a hub is.
type Load struct {
	// Streams and Watches are open; Slow watches are not level with their group.
	Streams, Watches, Slow int
	// QueueBytes are delivered and not taken.
	QueueBytes int
	// Events and Chases count since the start: events delivered, and watches that
	// had to catch up by themselves.
	Events, Chases uint64
}

// New makes a hub without streams.
func New(cfg Config) *Hub {
	return &Hub{
		cfg: cfg, streams: map[StreamID]*stream{}, places: map[uint64]*place{},
		groups: groups{byShards: map[string]*group{}},
		// Each life of the node has its own part of 2^55 ids.
		lastID: Owner<<56 | mix(uint64(cfg.Began))>>9,
	}
}

func (h *Hub) nextID() uint64 {
	h.lastID++
	return h.lastID
}

func (h *Hub) nextNumber() uint64 {
	h.numbers++
	return h.numbers
}

// Pass settles what the inputs since the last pass have caused.
func (h *Hub) Pass(now wire.Instant) Effects {
	h.now = now
	h.startChases()
	h.askOracle()
	eff := h.effects
	h.effects = Effects{Deliveries: h.spare}
	h.spare = nil
	return eff
}

// spareMax bounds the deliveries that there is room for between two passes.
const spareMax = 100_000

// Reuse takes effects back that are done, to use their memory again.
func (h *Hub) Reuse(eff Effects) {
	if cap(eff.Deliveries) <= spareMax {
		clear(eff.Deliveries)
		h.spare = eff.Deliveries[:0]
	}
}

// Open begins a stream. It reports false if there are too many.
func (h *Hub) Open(id StreamID) bool {
	if len(h.streams) >= h.cfg.Bounds.StreamsMax {
		return false
	}
	h.streams[id] = newStream(id)
	h.load.Streams++
	return true
}

// Add begins a watch, under an id that the stream did not have before. Begun
// follows.
func (h *Hub) Add(now wire.Instant, on StreamID, id kv.WatchID, req kv.WatchRequest) {
	h.now = now
	s := h.streams[on]
	if err := h.check(s, &req); err != nil {
		h.begun(on, id, err)
		return
	}
	req.Start, req.End = bytes.Clone(req.Start), bytes.Clone(req.End)
	w := &watch{id: id, stream: s, req: req, number: h.nextNumber()}
	w.shards = h.shardsOf(req.Range)
	s.watches[id] = w
	h.load.Watches++
	if req.From != 0 {
		w.pos = req.From - 1
		h.begun(on, id, nil)
	}
	h.await(w)
}

func (h *Hub) begun(on StreamID, id kv.WatchID, err error) {
	h.effects.Begun = append(h.effects.Begun, Begun{on, id, err})
}

func (h *Hub) check(s *stream, req *kv.WatchRequest) error {
	b := &h.cfg.Bounds
	switch {
	case s == nil:
		return kv.ErrStopped
	case h.load.Watches >= b.WatchesMax:
		return fmt.Errorf("%w: the node has %d watches", kv.ErrTooManyRequests, h.load.Watches)
	case len(s.watches) >= b.StreamWatchesMax:
		return fmt.Errorf("%w: the stream has %d watches", kv.ErrTooManyRequests, len(s.watches))
	}
	return h.cfg.Limits.CheckWatch(req)
}

// shardsOf are the shards that a range spans, in the order of their keys.
func (h *Hub) shardsOf(r kv.Range) []kv.ShardID {
	var list []kv.ShardID
	for _, s := range h.cfg.Map.Overlapping(r) {
		list = append(list, s.ID)
	}
	return list
}

// Remove ends a watch. Deliveries to it may be under way.
func (h *Hub) Remove(now wire.Instant, on StreamID, id kv.WatchID) {
	h.now = now
	if s := h.streams[on]; s != nil && s.watches[id] != nil {
		h.drop(s.watches[id])
	}
}

// drop forgets a watch.
func (h *Hub) drop(w *watch) {
	h.detach(w)
	w.state = ended
	delete(w.stream.watches, w.id)
	h.load.Watches--
	h.progress()
}

// Close ends a stream and its watches.
func (h *Hub) Close(now wire.Instant, on StreamID) {
	h.now = now
	s := h.streams[on]
	if s == nil {
		return
	}
	for _, w := range s.sorted() {
		h.drop(w)
	}
	delete(h.streams, on)
	s.asked = nil
	h.load.Streams--
	h.load.QueueBytes -= s.bytes
}

// Consumed tells that the receiver of a stream has taken so many bytes of
// deliveries.
func (h *Hub) Consumed(now wire.Instant, on StreamID, bytes int) {
	h.now = now
	s := h.streams[on]
	if s == nil {
		return
	}
	s.bytes -= bytes
	h.load.QueueBytes -= bytes
	h.resume(s)
}

// Progress asks for a response with ID 0, once all watches that the stream has
// now have got as far as a revision that is current after this call.
func (h *Hub) Progress(now wire.Instant, on StreamID) {
	h.now = now
	if s := h.streams[on]; s != nil && len(s.asked) < progressMax {
		h.awaitProgress(s)
	}
}

// Receive takes a node's answer.
func (h *Hub) Receive(now wire.Instant, from kv.NodeID, resp *wire.Response) {
	h.now = now
	if resp.ID == h.oracle.id {
		h.receiveOracle(from, resp)
		return
	}
	if p := h.places[resp.ID]; p != nil {
		p.reader.receive(p, from, resp)
	}
}

// Lost tells that a request never left this node.
func (h *Hub) Lost(now wire.Instant, req *wire.Request) {
	h.now = now
	if req.ID == h.oracle.id {
		h.oracle.failed(h.now)
		return
	}
	if p := h.places[req.ID]; p != nil {
		p.reader.failed(p)
	}
}

// Unreachable tells that a node's answers may be lost.
func (h *Hub) Unreachable(now wire.Instant, node kv.NodeID) {
	h.now = now
	if h.oracle.id != 0 && h.oracle.to == node {
		h.oracle.failed(now)
	}
	h.eachReader(func(r *reader) {
		for _, p := range r.places {
			if p.id != 0 && p.to == node {
				r.failed(p)
			}
		}
	})
}

// Tick tells that some time has passed.
func (h *Hub) Tick(now wire.Instant) {
	h.now = now
	if h.oracle.id != 0 && now-h.oracle.since > oracleTimeout {
		h.oracle.failed(now)
	}
	if len(h.groups.list) > 0 && now-h.oracle.checked > checkEvery {
		h.oracle.check = true
	}
	h.eachReader((*reader).tick)
}

// eachReader calls f with all readers, in an order that inputs determine.
func (h *Hub) eachReader(f func(*reader)) {
	for _, g := range h.groups.sorted() {
		f(&g.reader)
	}
	for _, c := range h.chases.list() {
		f(&c.reader)
	}
}

// Load describes the hub by numbers. It is cheap.
func (h *Hub) Load() Load {
	l := h.load
	l.Slow = l.Watches - h.live
	return l
}
