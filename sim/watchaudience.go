package sim

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
)

// audience is the receiver's end of one stream of watches, at one node, in one
// life of it. It takes one response after the other, at its own pace.
type audience struct {
	watcher *watcher
	hub     *hub
	id      watch.StreamID
	lastID  kv.WatchID
	watches map[kv.WatchID]*Watching
	// queue is what was delivered and not taken; taken are the bytes that the
	// hub was not told of.
	queue []watch.Delivery
	taken int
	// taking tells that the next response is about to be taken.
	taking bool
	// asked are the questions for progress without an answer, in their order.
	asked []question
}

// question is a call of Progress: when, and which watches the stream had then.
type question struct {
	order   int
	watches []*Watching
}

// add asks for a watch.
func (a *audience) add(w *Watching, req kv.WatchRequest) {
	a.lastID++
	id := a.lastID
	a.watches[id] = w
	w.asks(a.c(), req.From)
	a.c().trace.sayf("watch %d: asked of %v as %d.%d: %v from %v", w.ID, a.hub.node.id, a.id, id,
		req.Range, req.From)
	a.hub.post(func(now wire.Instant) { a.hub.machine.Add(now, a.id, id, req) })
}

func (a *audience) c() *cluster { return a.watcher.c }

// remove ends a watch; nothing of it is taken any more.
func (a *audience) remove(id kv.WatchID) {
	delete(a.watches, id)
	a.hub.post(func(now wire.Instant) { a.hub.machine.Remove(now, a.id, id) })
}

// progress asks how far all watches have got.
func (a *audience) progress() {
	q := question{order: a.c().history.next()}
	for _, id := range a.ids() {
		q.watches = append(q.watches, a.watches[id])
	}
	a.asked = append(a.asked, q)
	a.hub.post(func(now wire.Instant) { a.hub.machine.Progress(now, a.id) })
}

// ids are those of the open watches, ascending.
func (a *audience) ids() []kv.WatchID {
	var ids []kv.WatchID
	for id := kv.WatchID(1); id <= a.lastID; id++ {
		if a.watches[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// close ends the stream.
func (a *audience) close() {
	delete(a.hub.audiences, a.id)
	a.hub.post(func(now wire.Instant) { a.hub.machine.Close(now, a.id) })
}

// begun takes the answer to an add.
func (a *audience) begun(id kv.WatchID, err error) {
	if err != nil {
		a.c().failf("watch %d.%d is refused: %v", a.id, id, err)
	}
	if w := a.watches[id]; w != nil {
		w.begins(a.c().history.next())
	}
}

// deliver queues a response.
func (a *audience) deliver(d watch.Delivery) {
	a.queue = append(a.queue, d)
	a.takeSoon()
}

func (a *audience) takeSoon() {
	if a.taking || len(a.queue) == 0 {
		return
	}
	a.taking = true
	a.hub.node.whenRunning(a.watcher.pause(), func() {
		a.taking = false
		if a.watcher.audience == a {
			a.take()
			a.takeSoon()
		}
	})
}

// take takes the next response.
func (a *audience) take() {
	d := a.queue[0]
	a.queue = a.queue[1:]
	a.taken += d.Bytes
	bounds := watchBounds()
	if bytes := a.taken; bytes >= bounds.ReportBytes() {
		a.taken = 0
		a.hub.post(func(now wire.Instant) { a.hub.machine.Consumed(now, a.id, bytes) })
	}
	a.hear(&d.Response)
}

// hear notes a response where it belongs.
func (a *audience) hear(r *kv.WatchResponse) {
	c := a.c()
	c.trace.note("watched", uint64(a.hub.node.id), uint64(r.ID), uint64(r.Revision))
	if r.ID == 0 {
		a.hearProgress(r)
		return
	}
	w := a.watches[r.ID]
	if w == nil {
		return // removed
	}
	if c.trace.wordy() {
		c.trace.sayf("watch %d: %s", w.ID, describeWatchResponse(r))
	}
	c.probe.heard(w, r)
	if !w.begun {
		c.failf("watch %d is told something before it begins", w.ID)
	}
	w.hear(r, c.history.next(), a.hub.node.id)
	if r.Compacted != 0 {
		delete(a.watches, r.ID)
		a.watcher.compacted(w)
	}
}

// hearProgress notes the answer to the oldest question.
func (a *audience) hearProgress(r *kv.WatchResponse) {
	c := a.c()
	if len(a.asked) == 0 {
		c.failf("stream %d of %v: an answer to no question: %+v", a.id, a.hub.node.id, r)
	}
	q := a.asked[0]
	a.asked = a.asked[1:]
	order := c.history.next()
	c.trace.sayf("watcher %d: %v is reached", a.watcher.id, r.Revision)
	c.history.Progress = append(c.history.Progress, Progress{q.order, order, r.Revision})
	for _, w := range q.watches {
		if a.has(w) {
			w.hear(r, order, a.hub.node.id)
		}
	}
}

func (a *audience) has(w *Watching) bool {
	for _, other := range a.watches {
		if other == w {
			return true
		}
	}
	return false
}
