package watch

import (
	"cmp"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
)

// reader follows some shards and hands their events on, merged.
type reader struct {
	hub    *Hub
	places []*place
	// pos is the watermark: everything up to and including it was handed on.
	pos kv.Revision
	// demand is a revision to get to even if nothing happens. It was handed out.
	demand kv.Revision
	keys   kv.Range
	prevKV bool
	closed bool
	sink   sink
}

// sink takes what a reader hands on.
type sink interface {
	// take gets all events above after up to and including upTo, and owns the
	// slice. There may be none.
	take(after, upTo kv.Revision, events []kv.Event)
	// compacted tells that events above pos and below floor are gone.
	compacted(floor kv.Revision)
}

// place is where a reader stands in a shard.
type place struct {
	reader *reader
	shard  kv.ShardID
	// number names the place to replicas.
	number uint64
	// upTo is how far the shard has told all; pending are those events that the
	// reader has not handed on, of so many bytes.
	upTo    kv.Revision
	pending []wire.FedEvent
	bytes   int
	// id is the request under way, 0 for none; want is what it demands.
	id    uint64
	to    kv.NodeID
	since wire.Instant
	want  kv.Revision
	// try counts on through the shard's nodes, since moved; a refused place
	// pauses.
	try        int
	moved      wire.Instant
	pauseUntil wire.Instant
}

func (h *Hub) newReader(shards []kv.ShardID, pos kv.Revision, keys kv.Range) reader {
	r := reader{hub: h, pos: pos, keys: keys}
	for _, shard := range shards {
		r.places = append(r.places, &place{shard: shard, number: h.nextNumber(), upTo: pos})
	}
	return r
}

// start sets a reader going, from where it will stay in memory.
func (r *reader) start(to sink) {
	r.sink = to
	for _, p := range r.places {
		p.reader = r
	}
	r.ask()
}

// close ends a reader.
func (r *reader) close() {
	r.closed = true
	for _, p := range r.places {
		delete(r.hub.places, p.id)
		p.id = 0
	}
}

// rewind forgets what is not handed on, and reads it again from pos.
func (r *reader) rewind() {
	for _, p := range r.places {
		delete(r.hub.places, p.id)
		p.id, p.upTo, p.pending, p.bytes = 0, r.pos, nil, 0
	}
	r.ask()
}

// require makes the reader get to a revision that was handed out.
func (r *reader) require(rev kv.Revision) {
	if rev > r.demand {
		r.demand = rev
		r.ask()
	}
}

// ask sends what there is to ask.
func (r *reader) ask() {
	need := r.demand
	for _, p := range r.places {
		if n := len(p.pending); n > 0 {
			need = max(need, p.pending[n-1].KV.ModRevision)
		}
	}
	for _, p := range r.places {
		r.askPlace(p, need)
	}
}

// askPlace asks for what follows in a shard. A request that waits for events is
// replaced by one that demands; one that demands is left alone.
func (r *reader) askPlace(p *place, need kv.Revision) {
	h := r.hub
	want := need
	if need <= p.upTo {
		want = 0
	}
	switch {
	case r.closed || h.now < p.pauseUntil || p.bytes >= h.cfg.Bounds.PendingBytesMax:
		return
	case p.id != 0 && (p.want != 0 || want == 0):
		return
	}
	delete(h.places, p.id)
	s := h.cfg.Map.Shard(p.shard)
	p.id, p.want, p.since, p.to = h.nextID(), want, h.now, h.nodeOf(s.Nodes, p.try)
	h.places[p.id] = p
	h.send(p.to, &wire.Request{ID: p.id, Shard: p.shard, Feed: &wire.Feed{
		Feed: p.number, After: p.upTo, Want: want, Keys: r.keys.Intersect(s.Range),
		PrevKV: r.prevKV, BytesMax: uint32(h.cfg.Bounds.FeedBytesMax),
	}})
}

// nodeOf is the node to ask for the try'th time: this one first.
func (h *Hub) nodeOf(nodes []kv.NodeID, try int) kv.NodeID {
	first := slices.Index(nodes, h.cfg.Node)
	if first < 0 {
		first = int(h.cfg.Node) // others elsewhere
	}
	return nodes[(first+try)%len(nodes)]
}

func (h *Hub) send(to kv.NodeID, req *wire.Request) {
	h.effects.Sends = append(h.effects.Sends, Send{to, req})
}

// receive takes the answer for a place.
func (r *reader) receive(p *place, _ kv.NodeID, resp *wire.Response) {
	fed := resp.Fed
	if resp.Code != wire.CodeOK || fed == nil || fed.UpTo < p.upTo {
		r.failed(p)
		return
	}
	delete(r.hub.places, p.id)
	p.id = 0
	if fed.Compacted != 0 {
		r.sink.compacted(fed.Compacted)
		return
	}
	for i := range fed.Events {
		p.bytes += eventSize(&fed.Events[i].Event)
	}
	p.upTo, p.pending = fed.UpTo, append(p.pending, fed.Events...)
	if p.want > p.upTo && len(fed.Events) == 0 {
		r.elsewhere(p) // the replica may be cut off from its leader
	}
	r.advance()
	r.ask()
}

// failed gives a request up.
func (r *reader) failed(p *place) {
	delete(r.hub.places, p.id)
	p.id, p.pauseUntil = 0, r.hub.now+retryPause
	r.elsewhere(p)
}

func (r *reader) elsewhere(p *place) {
	p.try++
	p.moved = r.hub.now
}

// tick gives up requests that are not answered, and asks again where it is time.
func (r *reader) tick() {
	now := r.hub.now
	for _, p := range r.places {
		if p.id != 0 && now-p.since > feedTimeout {
			r.failed(p)
		}
		if p.try != 0 && now-p.moved > homeEvery {
			p.try = 0
		}
	}
	r.ask()
}

// advance hands on what all shards have told completely.
func (r *reader) advance() {
	mark := r.mark()
	for r.pos < mark && !r.closed {
		events, upTo := r.merge(mark)
		after := r.pos
		r.pos = upTo
		r.sink.take(after, upTo, events)
	}
}

// mark is what all shards have told completely.
func (r *reader) mark() kv.Revision {
	mark := r.places[0].upTo
	for _, p := range r.places {
		if r.hub.cfg.Mutant == mutant.DeliverHalf {
			mark = max(mark, p.upTo)
		} else {
			mark = min(mark, p.upTo)
		}
	}
	return mark
}

// merge takes the pending events up to mark, cut at the end of a revision if
// they are many, and tells up to where they are all.
func (r *reader) merge(mark kv.Revision) (events []kv.Event, upTo kv.Revision) {
	bytes, last := 0, r.pos
	for {
		p := r.first(mark)
		if p == nil {
			return events, mark
		}
		e := &p.pending[0]
		if bytes >= batchBytes && e.KV.ModRevision > last {
			return events, last
		}
		size := eventSize(&e.Event)
		bytes, last = bytes+size, e.KV.ModRevision
		if events == nil {
			events = make([]kv.Event, 0, len(p.pending))
		}
		events = append(events, e.Event)
		p.bytes -= size
		if p.pending = p.pending[1:]; len(p.pending) == 0 {
			p.pending = nil
		}
	}
}

// first is the place with the next event up to mark, nil if there is none.
func (r *reader) first(mark kv.Revision) *place {
	var first *place
	for _, p := range r.places {
		if len(p.pending) == 0 || p.pending[0].KV.ModRevision > mark {
			continue
		}
		if first == nil || compareEvents(&p.pending[0], &first.pending[0]) < 0 {
			first = p
		}
	}
	return first
}

// compareEvents orders events by revision, and within one by their place in the
// transaction.
func compareEvents(a, b *wire.FedEvent) int {
	return cmp.Or(cmp.Compare(a.KV.ModRevision, b.KV.ModRevision), cmp.Compare(a.Sub, b.Sub))
}
