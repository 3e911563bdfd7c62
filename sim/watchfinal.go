package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// lastResponses waits until all watches have told everything: first what nobody
// asks for, then where they are.
func (c *cluster) lastResponses() {
	c.runWatchers("the last events", func(w *watcher) bool {
		for _, open := range w.open {
			if c.due(open) != 0 {
				return false
			}
		}
		return true
	})
	for _, w := range c.watchers {
		w.audience.progress()
	}
	c.runWatchers("the last progress", func(w *watcher) bool {
		return w.audience != nil && len(w.audience.asked) == 0
	})
	for _, w := range c.watchers {
		for _, open := range w.open {
			open.Open = true
		}
	}
}

// runWatchers goes on until all watchers have done something.
func (c *cluster) runWatchers(what string, done func(*watcher) bool) {
	const limit = 15 * time.Second
	for end := c.now + Time(limit); ; c.runFor(20 * time.Millisecond) {
		var late strings.Builder
		for _, w := range c.watchers {
			if w.audience == nil || !done(w) {
				late.WriteString(w.status())
			}
		}
		switch {
		case late.String() == "":
			return
		case c.now >= end:
			c.failf("waited %v in vain for %s:%s", limit, what, late.String())
		}
	}
}

// status says where a watcher is, for a failure.
func (w *watcher) status() string {
	text := fmt.Sprintf("\nwatcher %d", w.id)
	if w.audience == nil {
		return text + " has no stream"
	}
	text += fmt.Sprintf(" at %v, %d questions", w.audience.hub.node.id, len(w.audience.asked))
	for _, open := range w.open {
		watermark, last := open.reached()
		text += fmt.Sprintf("; watch %d of %v from %v has %v, last %v, misses %v", open.ID,
			open.Request.Range, open.Request.From, watermark, last, w.c.due(open))
	}
	return text
}

// due is the revision of a put that a watch should have told and has not, 0 if
// there is none. Only simple puts count.
func (c *cluster) due(w *Watching) kv.Revision {
	_, last := w.reached()
	for _, op := range c.history.Ops {
		past := w.Begun == 0 || w.Request.From == 0 && op.Begin < w.Begun
		if past || op.Fate() != Done || op.Txn == nil || len(op.Txn.Compares) > 0 ||
			len(op.Txn.Success) != 1 {
			continue
		}
		put, rev := op.Txn.Success[0].Put, op.Revision()
		if put != nil && rev > last && rev >= w.Request.From && !w.Request.NoPut &&
			w.Request.Contains(put.Key) {
			return rev
		}
	}
	return 0
}
