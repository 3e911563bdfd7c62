package kvtest

import (
	"context"
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// watcher reads a stream for a case and holds it to what WatchStream
// promises: order, whole revisions, watermarks, nothing that was not asked.
type watcher struct {
	*testCase
	stream  kv.WatchStream
	watches map[kv.WatchID]*watched
}

// watched is a watch and what it has told.
type watched struct {
	req kv.WatchRequest
	// watermark is the revision up to which everything was delivered.
	watermark kv.Revision
	// events are those since somebody last took them.
	events []kv.Event
	// compacted is set if the watch ended.
	compacted kv.Revision
	// of reads it.
	of *watcher
}

// mustTell reads everything that has happened, and checks how many events of
// it have not been taken.
func (w *watched) mustTell(events int) {
	w.of.Helper()
	w.of.progress()
	if len(w.events) != events {
		w.of.Fatalf("%d events, want %d: %+v", len(w.events), events, w.events)
	}
}

func (c *testCase) newWatcher() *watcher {
	c.Helper()
	stream, err := c.store.Watch(c.ctx)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(stream.Close)
	return &watcher{testCase: c, stream: stream, watches: map[kv.WatchID]*watched{}}
}

func (w *watcher) add(req kv.WatchRequest) (kv.WatchID, error) {
	w.Helper()
	id, err := w.stream.Add(req)
	if err != nil {
		return 0, err
	}
	if id <= 0 || w.watches[id] != nil {
		w.Fatalf("a new watch got the id %d", id)
	}
	w.watches[id] = &watched{req: req, watermark: max(req.From-1, 0), of: w}
	return id, nil
}

func (w *watcher) mustAdd(req kv.WatchRequest) *watched {
	w.Helper()
	id, err := w.add(req)
	if err != nil {
		w.Fatal(err)
	}
	return w.watches[id]
}

// progress reads until everything that has happened is delivered, and returns
// the revision at which that was told.
func (w *watcher) progress() kv.Revision {
	w.Helper()
	current := w.revision()
	w.stream.Progress()
	for {
		if resp := w.read(); resp.ID == 0 {
			if resp.Revision < current {
				w.Fatalf("progress to %v, but %v was current before", resp.Revision, current)
			}
			return resp.Revision
		}
	}
}

// await reads until done says so.
func (w *watcher) await(done func() bool) {
	w.Helper()
	for !done() {
		w.read()
	}
}

// read takes the next response and checks it.
func (w *watcher) read() kv.WatchResponse {
	w.Helper()
	resp, err := w.stream.Next(w.ctx)
	if err != nil {
		w.Fatalf("next: %v", err)
	}
	w.file(&resp)
	return resp
}

// readFor takes what comes within d, but not more than one response.
func (w *watcher) readFor(d time.Duration) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, d)
	defer cancel()
	resp, err := w.stream.Next(ctx)
	switch {
	case err == nil:
		w.file(&resp)
	case !errors.Is(err, context.DeadlineExceeded):
		w.Fatalf("next: %v", err)
	}
}

// file checks a response and keeps what it tells.
func (w *watcher) file(resp *kv.WatchResponse) {
	w.Helper()
	if resp.ID == 0 {
		w.checkProgress(resp)
		return
	}
	to := w.watches[resp.ID]
	switch {
	case to == nil:
		w.Fatalf("a response for a watch that is not there: %+v", *resp)
	case to.compacted != 0:
		w.Fatalf("a response for a watch that has ended: %+v", *resp)
	case resp.Compacted != 0:
		to.compacted = resp.Compacted
		return
	}
	w.checkEvents(to, resp)
	to.watermark = resp.Revision
	to.events = append(to.events, resp.Events...)
}

func (w *watcher) checkProgress(resp *kv.WatchResponse) {
	w.Helper()
	if len(resp.Events) > 0 || resp.Compacted != 0 {
		w.Fatalf("an answer to Progress carries something: %+v", *resp)
	}
	for _, to := range w.watches {
		to.watermark = max(to.watermark, resp.Revision)
	}
}

func (w *watcher) checkEvents(to *watched, resp *kv.WatchResponse) {
	w.Helper()
	if resp.Revision < to.watermark {
		w.Fatalf("the watermark went from %v to %v", to.watermark, resp.Revision)
	}
	last := to.watermark + 1
	for i := range resp.Events {
		e := &resp.Events[i]
		at := e.KV.ModRevision
		switch {
		case at < last:
			w.Fatalf("%q at %v comes when %v was delivered", e.KV.Key, at, last-1)
		case at > resp.Revision:
			w.Fatalf("%q at %v comes with the watermark %v", e.KV.Key, at, resp.Revision)
		case !to.req.Contains(e.KV.Key):
			w.Fatalf("%q is not in %v", e.KV.Key, to.req.Range)
		case e.Deleted && to.req.NoDelete, !e.Deleted && to.req.NoPut:
			w.Fatalf("%q at %v was to be left out", e.KV.Key, at)
		}
		last = at
	}
}
