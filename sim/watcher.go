package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// watcher is a client that watches: on one stream at a time, at any node, and
// when that ends, on the next one, from where it stopped.
type watcher struct {
	c  *cluster
	id int
	// slow watchers take their time over each response.
	slow     bool
	audience *audience
	// open are the watches that go on, in the order of their beginning.
	open []*Watching
}

func newWatcher(c *cluster, id int) *watcher { return &watcher{c: c, id: id} }

// watchesMax bounds the watches of a watcher.
const watchesMax = 3

// begin opens the first stream after a while, and does something with it now
// and then.
func (w *watcher) begin() {
	c := w.c
	c.after(c.around(300*time.Millisecond), w.settle)
	c.recur(300*time.Millisecond, w.act)
}

// settle opens a stream somewhere, as soon as a node has one.
func (w *watcher) settle() {
	c := w.c
	if w.audience != nil {
		return
	}
	n := c.nodes[c.order[c.rng.IntN(len(c.order))]]
	if !n.serves() {
		c.after(c.between(time.Millisecond, 20*time.Millisecond), w.settle)
		return
	}
	w.audience = n.hub.open(w)
	if len(w.open) == 0 {
		w.watch()
	}
	for i, old := range w.open {
		w.open[i] = old.successor(c)
		w.audience.add(w.open[i], w.open[i].resume(c))
	}
}

// watch begins one more watch.
func (w *watcher) watch() {
	next := newWatching(w.c, w.draw())
	w.open = append(w.open, next)
	if len(w.open) > 1 {
		w.audience.add(next, next.Request)
	}
}

// act does something that receivers do.
func (w *watcher) act() {
	c := w.c
	if w.audience == nil {
		return
	}
	switch n := c.rng.IntN(20); {
	case n < 7:
		w.audience.progress()
	case n < 10:
		w.slow = !w.slow
	case n < 12:
		w.removeOne()
	case n < 15:
		if len(w.open) < watchesMax {
			w.watch()
		}
	case n < 18:
		w.move()
	}
}

// removeOne ends one of several watches.
func (w *watcher) removeOne() {
	if len(w.open) < 2 {
		return
	}
	i := w.c.rng.IntN(len(w.open))
	for id, other := range w.audience.watches {
		if other == w.open[i] {
			w.audience.remove(id)
			break
		}
	}
	w.open = append(w.open[:i], w.open[i+1:]...)
}

// move leaves the stream and goes on with another.
func (w *watcher) move() {
	w.audience.close()
	w.audience = nil
	w.settleSoon()
}

func (w *watcher) settleSoon() { w.c.after(w.c.around(50*time.Millisecond), w.settle) }

// compacted takes the end of a watch. Another may begin where that is possible.
func (w *watcher) compacted(old *Watching) {
	for i, other := range w.open {
		if other == old {
			req := old.Request
			req.From = old.Heard[len(old.Heard)-1].Response.Compacted
			w.open[i] = newWatching(w.c, req)
			w.audience.add(w.open[i], req)
			return
		}
	}
}

// lostNode tells watchers that a node died.
func (c *cluster) lostWatchers(n *node) {
	for _, w := range c.watchers {
		if w.audience != nil && w.audience.hub.node == n {
			w.audience = nil
			w.settleSoon()
		}
	}
}

// pause is how long the watcher is busy before it takes the next response.
func (w *watcher) pause() time.Duration {
	if w.slow && !w.c.healed {
		return w.c.around(120 * time.Millisecond)
	}
	return w.c.between(0, 100*time.Microsecond)
}

// draw makes up a watch: of any range, from now, from the past, or from what is
// still to come.
func (w *watcher) draw() kv.WatchRequest {
	c := w.c
	req := kv.WatchRequest{Range: w.drawRange(), PrevKV: c.chance(0.4)}
	last := int64(c.lastTold())
	switch n := c.rng.IntN(10); {
	case n < 4:
	case n < 6:
		req.From = kv.Revision(1 + c.rng.Int64N(last))
	case n < 7:
		req.From = kv.FirstRevision
	case n < 9:
		req.From = kv.Revision(max(1, last-c.rng.Int64N(20)))
	default:
		req.From = kv.Revision(last + c.rng.Int64N(60))
	}
	if c.chance(0.2) {
		req.NoPut = c.chance(0.5)
		req.NoDelete = !req.NoPut
	}
	return req
}

func (w *watcher) drawRange() kv.Range {
	c := w.c
	if c.chance(0.3) {
		return kv.PointRange(c.keys.pick(c.rng, c.keys.shard(c.rng)))
	}
	if c.chance(0.2) {
		return kv.PrefixRange([]byte{byte('a' + c.keys.shard(c.rng))})
	}
	for {
		if r := c.keys.anywhere(c.rng); !r.Empty() {
			return r
		}
	}
}

// lastTold is the highest revision that a client was told.
func (c *cluster) lastTold() kv.Revision {
	last := kv.FirstRevision
	for _, cl := range c.clients {
		last = max(last, cl.revision)
	}
	return last
}
