package pebble

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
)

// Deletions give space back once compactions have carried them down to what they
// delete. Pebble sees to that by itself when a level is full, and so a shard that
// is compacted and then left alone may keep ten times its live data for ever. So
// spans of which much was deleted are compacted by hand, a slice at a time.
const (
	// reclaimBytesMin must be deleted before it is worth the trouble.
	reclaimBytesMin = 1 << 20
	// reclaimPart of what a span takes on disk must be deleted: so a byte that
	// comes back costs at most as many bytes of reading and writing.
	reclaimPart       = 4
	reclaimSliceBytes = 32 << 20
)

// reclaimer compacts in the background. Its goroutine begins with the first
// deletions and ends with the engine.
type reclaimer struct {
	ctx  context.Context
	stop context.CancelFunc
	wake chan struct{}
	done sync.WaitGroup
	// sliceBytes of the lowest level are compacted in one go.
	sliceBytes uint64

	mu sync.Mutex
	// spans are those that something was deleted from, with how much.
	spans   []deletedSpan
	running bool
}

type deletedSpan struct {
	engine.Span
	bytes int64
}

func newReclaimer() *reclaimer {
	r := &reclaimer{wake: make(chan struct{}, 1), sliceBytes: reclaimSliceBytes}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Reclaim implements engine.Engine.
func (e *Engine) Reclaim(span engine.Span, deleted int64) {
	r := e.reclaimer
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.options.ReadOnly || deleted <= 0 || r.ctx.Err() != nil {
		return
	}
	i := r.find(span)
	if i < 0 {
		i = len(r.spans)
		r.spans = append(r.spans, deletedSpan{Span: engine.Span{
			Start: bytes.Clone(span.Start), End: bytes.Clone(span.End),
		}})
	}
	r.spans[i].bytes += deleted
	if !r.running {
		r.running = true
		r.done.Go(e.reclaimAll)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// close ends the goroutine and waits for it.
func (r *reclaimer) close() {
	r.mu.Lock()
	r.stop()
	r.mu.Unlock()
	r.done.Wait()
}

func (e *Engine) reclaimAll() {
	r := e.reclaimer
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.wake:
		}
		for span, ok := r.next(e); ok; span, ok = r.next(e) {
			e.reclaim(span)
		}
	}
}

// next takes a span of which enough was deleted.
func (r *reclaimer) next(e *Engine) (span engine.Span, ok bool) {
	for _, s := range r.listed() {
		used, err := e.db.EstimateDiskUsage(align(s.Start), align(s.End))
		if err == nil && uint64(s.bytes) >= used/reclaimPart && r.ctx.Err() == nil {
			r.forget(s)
			return s.Span, true
		}
	}
	return engine.Span{}, false
}

// listed are the spans that may be worth the trouble.
func (r *reclaimer) listed() []deletedSpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []deletedSpan
	for _, s := range r.spans {
		if s.bytes >= reclaimBytesMin {
			list = append(list, s)
		}
	}
	return list
}

// forget takes off what is about to be given back.
func (r *reclaimer) forget(s deletedSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.find(s.Span)
	if r.spans[i].bytes -= s.bytes; r.spans[i].bytes == 0 {
		r.spans = slices.Delete(r.spans, i, i+1)
	}
}

// find is where a span is in the list, -1 if it is not.
func (r *reclaimer) find(span engine.Span) int {
	return slices.IndexFunc(r.spans, func(s deletedSpan) bool {
		return bytes.Equal(s.Start, span.Start) && bytes.Equal(s.End, span.End)
	})
}

// reclaim compacts a span, and rests after each slice for as long as it took: half
// of the disk's time is for others.
func (e *Engine) reclaim(span engine.Span) {
	r := e.reclaimer
	bounds := e.slices(span)
	for i := range len(bounds) - 1 {
		begun := time.Now()
		err := e.db.Compact(r.ctx, bounds[i], bounds[i+1], false)
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			e.events.log.Warn("space is not reclaimed", "err", err)
			return
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(time.Since(begun)):
		}
	}
	e.events.reclaims.Add(1)
}

// slices are the bounds of the parts that a span is compacted in, ascending.
func (e *Engine) slices(span engine.Span) [][]byte {
	bounds := [][]byte{align(span.Start)}
	levels, err := e.db.SSTables()
	if err != nil {
		return nil
	}
	size := uint64(0)
	for _, t := range levels[len(levels)-1] {
		start := t.Smallest.UserKey
		if size >= e.reclaimer.sliceBytes && bytes.Compare(start, bounds[len(bounds)-1]) > 0 &&
			bytes.Compare(start, span.End) < 0 {
			bounds, size = append(bounds, start), 0
		}
		if bytes.Compare(t.Largest.UserKey, span.Start) >= 0 {
			size += t.Size
		}
	}
	return append(bounds, align(span.End))
}
