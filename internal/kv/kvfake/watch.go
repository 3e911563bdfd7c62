package kvfake

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// stream is a kv.WatchStream. The store's mutex guards all of it, and what a
// watch has to tell is queued at once: when it is added, and with each write.
type stream struct {
	store   *Store
	watches map[kv.WatchID]kv.WatchRequest
	last    kv.WatchID
	queue   []kv.WatchResponse
	closed  bool
	// woken has room for one word that queue or closed changed.
	woken chan struct{}
	// leaveContext forgets the context that the stream ends with.
	leaveContext func() bool
}

// Watch implements kv.Store.
func (s *Store) Watch(ctx context.Context) (kv.WatchStream, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	w := &stream{
		store:   s,
		watches: map[kv.WatchID]kv.WatchRequest{},
		woken:   make(chan struct{}, 1),
	}
	s.streams[w] = true
	w.leaveContext = context.AfterFunc(ctx, w.Close)
	return w, nil
}

// Add implements kv.WatchStream.
func (w *stream) Add(req kv.WatchRequest) (kv.WatchID, error) {
	if err := w.store.limits.CheckWatch(&req); err != nil {
		return 0, err
	}
	s := w.store
	s.mu.Lock()
	defer s.leave()
	s.expire()
	if w.closed {
		return 0, kv.ErrStopped
	}
	w.last++
	switch {
	case req.From == 0:
		req.From = s.revision + 1
	case req.From < s.compacted:
		w.tell(kv.WatchResponse{ID: w.last, Compacted: s.compacted})
		return w.last, nil
	}
	req.Start, req.End = bytes.Clone(req.Start), bytes.Clone(req.End)
	w.watches[w.last] = req
	w.deliverTo(w.last, s.history.since(req.From))
	return w.last, nil
}

// Remove implements kv.WatchStream.
func (w *stream) Remove(id kv.WatchID) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.watches, id)
	w.queue = slices.DeleteFunc(w.queue, func(resp kv.WatchResponse) bool {
		return resp.ID == id
	})
}

// Progress implements kv.WatchStream.
func (w *stream) Progress() {
	w.store.mu.Lock()
	defer w.store.leave()
	w.store.expire()
	w.tell(kv.WatchResponse{Revision: w.store.revision})
}

// Next implements kv.WatchStream.
func (w *stream) Next(ctx context.Context) (kv.WatchResponse, error) {
	for {
		if resp, ok, err := w.take(); ok || err != nil {
			return resp, err
		}
		if err := ctx.Err(); err != nil {
			return kv.WatchResponse{}, err
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
		}
	}
}

// Close implements kv.WatchStream.
func (w *stream) Close() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.leaveContext()
	delete(w.store.streams, w)
	w.closed = true
	w.wake()
}

func (w *stream) take() (resp kv.WatchResponse, ok bool, err error) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	switch {
	case w.closed:
		return resp, false, kv.ErrStopped
	case len(w.queue) == 0:
		return resp, false, nil
	}
	resp = w.queue[0]
	w.queue = w.queue[1:]
	return resp, true, nil
}

// deliver tells every watch of the stream those of changes that it asked for.
func (w *stream) deliver(changes []version) {
	for _, id := range slices.Sorted(maps.Keys(w.watches)) {
		w.deliverTo(id, changes)
	}
}

// deliverTo queues a response for each revision that has something for the
// watch.
func (w *stream) deliverTo(id kv.WatchID, changes []version) {
	req := w.watches[id]
	for len(changes) > 0 {
		resp := kv.WatchResponse{ID: id, Revision: changes[0].ModRevision}
		for len(changes) > 0 && changes[0].ModRevision == resp.Revision {
			if wanted(&req, &changes[0]) {
				resp.Events = append(resp.Events, w.store.event(&req, &changes[0]))
			}
			changes = changes[1:]
		}
		if len(resp.Events) > 0 {
			w.tell(resp)
		}
	}
}

func wanted(req *kv.WatchRequest, v *version) bool {
	filtered := req.NoPut
	if v.deleted {
		filtered = req.NoDelete
	}
	return req.Contains(v.Key) && v.ModRevision >= req.From && !filtered
}

func (s *Store) event(req *kv.WatchRequest, v *version) kv.Event {
	event := kv.Event{KV: clone(v.KeyValue), Deleted: v.deleted}
	if before := v.ModRevision - 1; req.PrevKV && before >= s.compacted {
		if prev := s.history.get(string(v.Key), before); prev != nil {
			cloned := clone(*prev)
			event.Prev = &cloned
		}
	}
	return event
}

func (w *stream) tell(resp kv.WatchResponse) {
	w.queue = append(w.queue, resp)
	w.wake()
}

func (w *stream) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}
