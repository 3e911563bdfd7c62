package watch

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// chases are the watches that catch up by themselves.
type chases struct {
	// waiting are queued; those that are not any more are skipped.
	waiting []*watch
	running []*chase
}

func (c *chases) list() []*chase { return slices.Clone(c.running) }

// chase brings one watch to where its group is.
type chase struct {
	reader
	watch *watch
}

// catchUp queues a watch for a chase.
func (h *Hub) catchUp(w *watch) {
	w.state = queued
	h.chases.waiting = append(h.chases.waiting, w)
}

// startChases begins as many chases as may run. The stream of each has room for
// something now.
func (h *Hub) startChases() {
	c := &h.chases
	for len(c.waiting) > 0 && len(c.running) < h.cfg.Bounds.ChasesMax {
		w := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		switch {
		case w.state != queued:
		case !h.room(w.stream):
			h.stall(w)
		default:
			h.startChase(w)
		}
	}
}

func (h *Hub) startChase(w *watch) {
	c := &chase{reader: h.newReader(w.shards, min(w.pos, w.level), w.req.Range), watch: w}
	c.prevKV, c.demand = w.req.PrevKV, w.level
	for _, p := range w.stream.asked {
		c.demand = max(c.demand, p.at)
	}
	w.state, w.chase = chasing, c
	h.chases.running = append(h.chases.running, c)
	h.load.Chases++
	if g := h.groups.byShards[groupName(w.shards)]; g != nil && !g.includes(w) {
		g.include(w) // so that what it remembers can be of use
	}
	c.start(c)
}

// endChase leaves the watch where it is.
func (h *Hub) endChase(c *chase) {
	c.watch.chase = nil
	c.close()
	h.chases.running = slices.DeleteFunc(h.chases.running, func(o *chase) bool { return o == c })
}

// take implements sink.
func (c *chase) take(after, upTo kv.Revision, events []kv.Event) {
	h, w := c.hub, c.watch
	var b batch
	for i := range events {
		if events[i].KV.ModRevision <= h.oracle.floor {
			events[i].Prev = nil // a replica that lags still had it
		}
		if w.wants(&events[i]) {
			b.add(events, i)
		}
	}
	if !h.tell(w, b, upTo) {
		h.stallAt(w, after)
		return
	}
	w.pos = max(w.pos, upTo)
	switch {
	case c.pos < w.level:
	case h.join(w, c.pos):
		h.endChase(c)
	case !h.room(w.stream):
		h.stall(w)
	}
	h.progress()
}

// compacted implements sink.
func (c *chase) compacted(floor kv.Revision) { c.hub.end(c.watch, floor) }
