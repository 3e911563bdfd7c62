package sim

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
)

// Watching is a watch as its receiver saw it, on all streams that it was on:
// each goes on where the last stopped.
type Watching struct {
	ID      int
	Request kv.WatchRequest
	// Added and Begun are places in the order: when the watch was first asked
	// for, and when it was there; Begun is 0 if it never was.
	Added, Begun int
	// Heard is what was told of the watch, in that order.
	Heard []Heard
	// Froms are where it was asked for from, by stream.
	Froms []kv.Revision
	// Open tells that it went on to the very end.
	Open bool
	// begun tells that the last stream has the watch.
	begun bool
}

// Heard is a response, and where and when it was taken: on the how many'th
// stream, of which node. One with ID 0 is of the others on the stream too.
type Heard struct {
	Response kv.WatchResponse
	Order    int
	Node     kv.NodeID
	Try      int
}

// Progress is an answer to a question for progress.
type Progress struct {
	Asked, Answered int
	Revision        kv.Revision
}

func newWatching(c *cluster, req kv.WatchRequest) *Watching {
	w := &Watching{ID: len(c.history.Watchings) + 1, Request: req}
	c.history.Watchings = append(c.history.Watchings, w)
	return w
}

// asks notes that the watch is asked for, on the next stream.
func (w *Watching) asks(c *cluster, from kv.Revision) {
	if w.Froms = append(w.Froms, from); len(w.Froms) == 1 {
		w.Added = c.history.next()
	}
	w.begun = false
}

// begins notes that the watch is there.
func (w *Watching) begins(order int) {
	if w.begun = true; w.Begun == 0 {
		w.Begun = order
	}
}

// reached is the revision up to which everything was told, 0 if that is not
// known; lastEvent is that of the last event, 0 without any.
func (w *Watching) reached() (watermark, lastEvent kv.Revision) {
	for i := range w.Heard {
		r := &w.Heard[i].Response
		watermark = max(watermark, r.Revision)
		if n := len(r.Events); n > 0 {
			lastEvent = max(lastEvent, r.Events[n-1].KV.ModRevision)
		}
	}
	return watermark, lastEvent
}

// successor is the watch to go on with on another stream: the same, or if it
// is from now and not known where that was, another one.
func (w *Watching) successor(c *cluster) *Watching {
	if watermark, _ := w.reached(); len(w.Froms) == 0 || w.Request.From != 0 || watermark != 0 {
		return w
	}
	return newWatching(c, w.Request)
}

// resume is the request for the rest: after what was told, or after the last
// event, behind which there was none.
func (w *Watching) resume(c *cluster) kv.WatchRequest {
	req := w.Request
	watermark, lastEvent := w.reached()
	next := watermark + 1
	if lastEvent > 0 && c.chance(0.5) {
		next = lastEvent + 1
	}
	if watermark > 0 {
		req.From = max(req.From, next)
	}
	return req
}

func describeWatchResponse(r *kv.WatchResponse) string {
	var text strings.Builder
	fmt.Fprintf(&text, "up to %v", r.Revision)
	if r.Compacted != 0 {
		fmt.Fprintf(&text, " compacted below %v", r.Compacted)
	}
	for i := range r.Events {
		text.WriteString(" " + describeEvent(&r.Events[i]))
	}
	return text.String()
}

func describeEvent(e *kv.Event) string {
	text := describeKV(e.KV)
	if e.Deleted {
		text = fmt.Sprintf("%s deleted@%v", e.KV.Key, e.KV.ModRevision)
	}
	if e.Prev != nil {
		text += " prev " + describeKV(*e.Prev)
	}
	return text
}

// hear notes a response.
func (w *Watching) hear(r *kv.WatchResponse, order int, on kv.NodeID) {
	w.Heard = append(w.Heard, Heard{Response: *r, Order: order, Node: on, Try: len(w.Froms)})
}
