package watch

import (
	"encoding/binary"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// groups are the watches that are level, by the shards that they span.
type groups struct {
	byShards map[string]*group
	// list holds them in the order in which they were made.
	list []*group
}

func (s *groups) sorted() []*group { return slices.Clone(s.list) }

// group is the live watches that span the same shards.
type group struct {
	reader
	name  string
	index index
	// prevKVs counts the watches that want the versions before.
	prevKVs int
	// recent are the last events, all those above floor.
	recent      []kv.Event
	recentBytes int
	floor       kv.Revision
	// touched are those who get something of the batch at hand.
	touched []*watch
}

// groupName names a group by its shards.
func groupName(shards []kv.ShardID) string {
	var name []byte
	for _, s := range shards {
		name = binary.BigEndian.AppendUint32(name, uint32(s))
	}
	return string(name)
}

// join makes a watch live which has everything up to and including at, a
// revision that was handed out. It reports false if the group is too far ahead,
// or the stream has no room.
func (h *Hub) join(w *watch, at kv.Revision) bool {
	name := groupName(w.shards)
	g := h.groups.byShards[name]
	if g == nil {
		g = &group{reader: h.newReader(w.shards, at, w.req.Range), name: name, floor: at}
		g.prevKV = w.req.PrevKV
		if len(h.groups.list) == 0 {
			h.oracle.checked = h.now // they begin with what is current
		}
		h.groups.byShards[name] = g
		h.groups.list = append(h.groups.list, g)
		g.start(g)
	}
	ahead := at < g.pos
	known := g.includes(w)
	if !known {
		g.include(w)
	}
	if ahead && (!known || at < g.floor || !g.replay(w)) {
		return false
	}
	w.state, w.group = live, g
	h.live++
	g.index.add(w)
	if w.req.PrevKV {
		g.prevKVs++
	}
	for _, p := range w.stream.asked {
		g.require(p.at)
	}
	return true
}

// includes reports whether the group reads all that a watch wants.
func (g *group) includes(w *watch) bool {
	return g.keys.ContainsRange(w.req.Range) && (g.prevKV || !w.req.PrevKV)
}

// include has the group read what a watch wants, from pos on.
func (g *group) include(w *watch) {
	g.keys = hull(g.keys, w.req.Range)
	if g.index.size >= groupNarrowMax {
		g.keys = kv.Range{}
	}
	g.prevKV = g.prevKV || w.req.PrevKV
	g.floor, g.recent, g.recentBytes = g.pos, nil, 0
	g.rewind()
}

// replay tells a watch the recent events, a copy: the group forgets its own,
// maybe before they are read. It reports false if there is no room.
func (g *group) replay(w *watch) bool {
	var b batch
	for i := range g.recent {
		if w.wants(&g.recent[i]) {
			b.add(g.recent, i)
		}
	}
	b.events, b.first = slices.Clone(b.events), -1
	if !w.req.PrevKV {
		for i := range b.events {
			b.events[i].Prev = nil
		}
	}
	return g.hub.tell(w, b, g.pos)
}

func havePrev(events []kv.Event) bool {
	return slices.ContainsFunc(events, func(e kv.Event) bool { return e.Prev != nil })
}

func withoutPrev(events []kv.Event) []kv.Event {
	bare := append([]kv.Event(nil), events...)
	for i := range bare {
		bare[i].Prev = nil
	}
	return bare
}

// leave takes a live watch out of its group, which ends with its last.
func (h *Hub) leave(w *watch) {
	g := w.group
	w.pos, w.group = w.position(), nil
	h.live--
	g.index.remove(w)
	if w.req.PrevKV {
		g.prevKVs--
	}
	if g.index.size > 0 {
		g.prevKV = g.prevKVs > 0
		return
	}
	g.close()
	delete(h.groups.byShards, g.name)
	h.groups.list = slices.DeleteFunc(h.groups.list, func(o *group) bool { return o == g })
}

// take implements sink: it hands each event to those whom it concerns.
func (g *group) take(after, upTo kv.Revision, events []kv.Event) {
	var bare []kv.Event
	if g.prevKVs < g.index.size && havePrev(events) {
		bare = withoutPrev(events)
	}
	i := 0
	offer := func(w *watch) {
		if !w.wants(&events[i]) {
			return
		}
		if len(w.batch.events) == 0 {
			g.touched = append(g.touched, w)
		}
		if bare != nil && !w.req.PrevKV {
			w.batch.add(bare, i)
		} else {
			w.batch.add(events, i)
		}
	}
	for i = range events {
		g.index.stab(events[i].KV.Key, offer)
	}
	g.flush(after, upTo)
	g.remember(events)
	g.hub.progress()
}

// flush delivers the batches. A watch whose stream has no room goes on from
// after by itself, when there is.
func (g *group) flush(after, upTo kv.Revision) {
	for i, w := range g.touched {
		g.touched[i] = nil
		if b := w.batch.take(); !g.hub.tell(w, b, upTo) {
			g.hub.stallAt(w, after)
		}
	}
	g.touched = g.touched[:0]
}

// remember keeps the last events.
func (g *group) remember(events []kv.Event) {
	for i := range events {
		g.recentBytes += eventSize(&events[i])
	}
	g.recent = append(g.recent, events...)
	n := 0
	for g.recentBytes > g.hub.cfg.Bounds.RecentBytesMax {
		g.recentBytes -= eventSize(&g.recent[n])
		g.floor = g.recent[n].KV.ModRevision
		n++
	}
	clear(g.recent[:n])
	g.recent = g.recent[n:]
}

// compacted implements sink. It ends the watches that lose something by it.
func (g *group) compacted(floor kv.Revision) {
	var lost []*watch
	g.index.each(func(w *watch) {
		if w.position()+1 < floor {
			lost = append(lost, w)
		}
	})
	for _, w := range lost {
		g.hub.end(w, floor)
	}
	if !g.closed {
		g.pos = max(g.pos, floor-1)
		g.floor, g.recent, g.recentBytes = g.pos, nil, 0
		g.rewind()
	}
}
