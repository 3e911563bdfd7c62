package casualties

import (
	"fmt"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
)

// ear is a client with one watch, on a stream of its own.
type ear struct {
	host *host
	id   watch.StreamID
	req  kv.WatchRequest
	on   bool
	err  error
	// deaf is a receiver that takes nothing; queue is what it was sent.
	deaf  bool
	queue []*watch.Delivery
	// events are those that it was told, upTo how far all was told,
	// progress the answers to questions for it.
	events    []kv.Event
	upTo      kv.Revision
	progress  []kv.Revision
	compacted kv.Revision
}

// watch begins a watch of the keys of r, from a revision or, with 0, from now.
func (h *host) watch(r kv.Range, from kv.Revision) *ear {
	e := h.listen(r, from)
	h.st.until("a watch to begin", 10*time.Second, func() bool { return e.on || e.err != nil })
	h.st.must(e.err)
	return e
}

// listen is watch, but does not wait.
func (h *host) listen(r kv.Range, from kv.Revision) *ear {
	h.st.lastOp++
	e := &ear{host: h, id: watch.StreamID(h.st.lastOp), req: kv.WatchRequest{Range: r, From: from}}
	h.ears[e.id] = e
	if !h.hub.Open(e.id) {
		h.st.failf("%v refuses a stream of watches", h.id)
	}
	h.hub.Add(h.now(), e.id, 1, e.req)
	return e
}

func (e *ear) begun(b watch.Begun) { e.on, e.err = b.Err == nil, b.Err }

// ask asks for progress.
func (e *ear) ask() { e.host.hub.Progress(e.host.now(), e.id) }

func (e *ear) deliver(d *watch.Delivery) {
	e.queue = append(e.queue, d)
	if !e.deaf {
		e.take()
	}
}

// take takes what was sent.
func (e *ear) take() {
	queue := e.queue
	e.queue = nil
	for _, d := range queue {
		e.hear(&d.Response)
		e.host.hub.Consumed(e.host.now(), e.id, d.Bytes)
	}
}

// hear holds a response against what was told before: no event comes twice, late,
// or from before the watch, and nothing that was passed comes after.
func (e *ear) hear(r *kv.WatchResponse) {
	st := e.host.st
	if r.Compacted != 0 {
		e.compacted = r.Compacted
		return
	}
	for i := range r.Events {
		rev := r.Events[i].KV.ModRevision
		if rev <= e.upTo || rev < e.req.From || rev > r.Revision {
			st.failf("%v tells an event of %v in an answer up to %v: it had told all up to %v, "+
				"and was asked from %v", e.host.id, rev, r.Revision, e.upTo, e.req.From)
		}
	}
	if n := len(r.Events); n > 0 {
		st.told = max(st.told, r.Events[n-1].KV.ModRevision)
	}
	if r.Revision < e.upTo {
		st.failf("%v tells %v after %v", e.host.id, r.Revision, e.upTo)
	}
	if r.ID == 0 {
		e.progress = append(e.progress, r.Revision)
	}
	e.events, e.upTo = append(e.events, r.Events...), r.Revision
}

// String is all that was told: "r2 a=1, r3 -a".
func (e *ear) String() string {
	var list []string
	for i := range e.events {
		kv := &e.events[i].KV
		if e.events[i].Deleted {
			list = append(list, fmt.Sprintf("%v -%s", kv.ModRevision, kv.Key))
			continue
		}
		list = append(list, fmt.Sprintf("%v %s=%s", kv.ModRevision, kv.Key, kv.Value))
	}
	return strings.Join(list, ", ")
}

// hears waits until all up to a revision was told, and fails unless that is want.
func (e *ear) hears(upTo kv.Revision, want string) {
	st := e.host.st
	st.until(fmt.Sprintf("a watch to come to %v", upTo), 20*time.Second, func() bool {
		return e.upTo >= upTo || e.compacted != 0
	})
	if e.compacted != 0 {
		st.failf("a watch on %v is ended: compacted at %v", e.host.id, e.compacted)
	}
	if got := e.String(); got != want {
		st.failf("a watch on %v was told %q, want %q", e.host.id, got, want)
	}
}

// everything is all keys.
var everything = kv.Range{}
