package pebble

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/faultfs"
)

// fillRandom sets a version of n keys to a kilobyte that does not compress.
func fillRandom(t *testing.T, e *Engine, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 1000)
	for i := range n {
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		b := e.NewBatch()
		noError(t, b.Set(benchKey(i, 7), value))
		noError(t, b.Commit())
	}
}

// empty deletes all keys but one in a hundred.
func empty(t *testing.T, e *Engine, n int) {
	t.Helper()
	b := e.NewBatch()
	for i := range n {
		if i%100 != 0 {
			noError(t, b.Delete(benchKey(i, 7)))
		}
	}
	noError(t, b.Commit())
}

func (e *Engine) tableBytesUsed(t *testing.T, span engine.Span) int {
	t.Helper()
	used, err := e.db.EstimateDiskUsage(span.Start, span.End)
	noError(t, err)
	return int(used)
}

// TestReclaim deletes almost everything and has the space back, without waiting
// for more to be written.
func TestReclaim(t *testing.T) {
	// Tables and memtables are small, so that many levels and slices arise.
	e := mustOpen(t, Options{FS: vfs.NewMem(), MemtableBytes: 1 << 20})
	defer e.Close()
	const keys = 12_000
	all := engine.Span{Start: []byte{versionSpace}, End: []byte{versionSpace + 1}}
	fillRandom(t, e, keys)
	noError(t, e.Flush())
	before := e.tableBytesUsed(t, all)
	empty(t, e, keys)

	r := e.reclaimer
	r.sliceBytes = 1 << 20
	r.running = true // the test does the goroutine's work
	e.Reclaim(all, int64(before/reclaimPart/2))
	if _, ok := r.next(e); ok {
		t.Fatal("so little is worth no work")
	}
	e.Reclaim(all, int64(before))
	span, ok := r.next(e)
	if !ok {
		t.Fatal("there is nothing to do")
	}
	if n := len(e.slices(span)) - 1; n < 2 {
		t.Errorf("compacted in %d slices", n)
	}
	e.reclaim(span)
	if after := e.tableBytesUsed(t, all); after > before/20 {
		t.Errorf("%d bytes of %d are left", after, before)
	}
	if _, ok := r.next(e); ok {
		t.Error("it is done again")
	}
	for i := range keys {
		_, err := e.Get(benchKey(i, 7))
		if i%100 == 0 && err != nil || i%100 != 0 && err != engine.ErrNotFound {
			t.Fatalf("key %d: %v", i, err)
		}
	}
}

// An engine that is closed in the middle of it does not wait for the rest.
func TestReclaimEndsWithTheEngine(t *testing.T) {
	e := mustOpen(t, Options{FS: vfs.NewMem(), MemtableBytes: 1 << 20})
	fillRandom(t, e, 5000)
	empty(t, e, 5000)
	all := engine.Span{Start: []byte{versionSpace}, End: []byte{versionSpace + 1}}
	e.Reclaim(all, 5<<20)
	noError(t, e.Close())
	e.Reclaim(all, 5<<20)
}

// TestDiskUsage: it grows with what is stored, also before a flush, and deletions
// count as not in use before their space is back.
func TestDiskUsage(t *testing.T) {
	disk := faultfs.New(vfs.NewMem(), 1)
	e := mustOpen(t, Options{FS: disk})
	defer e.Close()
	const keys, least = 4000, 4000 * 1000
	fillRandom(t, e, keys)
	unflushed, _ := e.DiskUsage()
	noError(t, e.Flush())
	bytes, inUse := e.DiskUsage()
	if unflushed < least*9/10 || bytes < least || inUse < least {
		t.Errorf("%d bytes, then %d, of which %d are in use: there are %d", unflushed, bytes,
			inUse, least)
	}
	disk.Inject(faultfs.Fault{Ops: faultfs.Remove, Delay: time.Hour})
	defer disk.LiftAll()
	empty(t, e, keys)
	noError(t, e.Flush())
	// Pebble looks at new tables in the background.
	for begun := time.Now(); time.Since(begun) < 20*time.Second; runtime.Gosched() {
		if bytes, inUse = e.DiskUsage(); inUse <= bytes-least/2 {
			break
		}
	}
	if bytes < least || inUse > bytes-least/2 {
		t.Errorf("of %d bytes %d are in use, and almost all are deleted", bytes, inUse)
	}
}
