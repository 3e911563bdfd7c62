package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/miruvor/miruvor/internal/kv"
)

var quiet = slog.New(slog.DiscardHandler)

func mustNotFail(t *testing.T) func(error) {
	return func(err error) { t.Errorf("fatal: %v", err) }
}

// syncs tells how often the log synced its files.
func syncs(l *Log) int { return int(l.Metrics()["syncs_total"]) }

func TestWriterSyncsOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, testOptions(vfs.NewMem()))
		w := NewWriter(l, quiet, mustNotFail(t))
		hold := make(chan struct{})
		must(t, w.Submit(Job{Before: func() error { <-hold; return nil }}))
		synctest.Wait()
		before := syncs(l)
		var order []kv.ShardID
		for shard := range kv.ShardID(50) {
			must(t, w.Submit(Job{
				Records: []Record{{Shard: shard, Entries: makeEntries(1, 2, 1, 10)}},
				Done:    func() { order = append(order, shard) },
			}))
		}
		close(hold)
		synctest.Wait()
		if n := syncs(l) - before; n != 1 {
			t.Fatalf("%d syncs for what was queued together", n)
		}
		if len(order) != 50 || !slices.IsSorted(order) {
			t.Fatalf("done in the order %v", order)
		}
		w.Close()
		must(t, l.Close())
	})
}

func TestWriterRunsBeforeInOrder(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	w := NewWriter(l, quiet, mustNotFail(t))
	var order []string
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Add(1)
		job := Job{
			Records: []Record{{Shard: 1, Entries: makeEntries(uint64(i+1), 1, 1, 10)}},
			Done:    func() { order = append(order, fmt.Sprintf("done%d", i)); wait.Done() },
		}
		if i%5 == 4 {
			job.Before = func() error {
				last, _ := l.Group(1).LastIndex()
				order = append(order, fmt.Sprintf("before%d after %d", i, last))
				return nil
			}
		}
		must(t, w.Submit(job))
	}
	wait.Wait()
	for i, at := range map[int]int{4: 4, 9: 10, 14: 16, 19: 22} {
		if want := fmt.Sprintf("before%d after %d", i, i); order[at] != want {
			t.Fatalf("%q is not at %d of %q", want, at, order)
		}
	}
	w.Close()
	wantEntries(t, l.Group(1), 1, slices.Repeat([]uint64{1}, 20)...)
	must(t, l.Close())
}

func TestWriterBoundsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, testOptions(vfs.NewMem()))
		w := NewWriter(l, quiet, mustNotFail(t))
		w.waitingMax = 1 << 20
		hold := make(chan struct{})
		must(t, w.Submit(Job{Before: func() error { <-hold; return nil }}))
		synctest.Wait()
		half := makeEntries(1, 1, 1, 1<<19)
		must(t, w.Submit(Job{Records: []Record{{Shard: 1, Entries: half}}}))
		var second atomic.Bool
		go func() {
			if err := w.Submit(Job{Records: []Record{{Shard: 2, Entries: half}}}); err != nil {
				t.Error(err)
			}
			second.Store(true)
		}()
		synctest.Wait()
		if second.Load() {
			t.Fatal("a submit over the bound did not block")
		}
		if waiting := w.Waiting(); waiting < 1<<19 || waiting > 1<<20 {
			t.Errorf("%d bytes wait", waiting)
		}
		close(hold)
		synctest.Wait()
		if !second.Load() {
			t.Fatal("a submit blocks although the queue is empty")
		}
		if waiting := w.Waiting(); waiting != 0 {
			t.Errorf("%d bytes wait for nothing", waiting)
		}
		w.Close()
		wantEntries(t, l.Group(2), 1, 1)
		if err := w.Submit(Job{}); !errors.Is(err, kv.ErrStopped) {
			t.Fatalf("submit after close: %v", err)
		}
		must(t, l.Close())
	})
}

func TestWriterStopsAtFailure(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData} {
		boom := errors.New("boom")
		var failing atomic.Bool
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if failing.Load() && op.Kind == kind {
				return boom
			}
			return nil
		}))
		l := mustOpen(t, testOptions(fs))
		failed := make(chan error, 1)
		w := NewWriter(l, quiet, func(err error) { failed <- err })
		failing.Store(true)
		must(t, w.Submit(Job{
			Records: []Record{{Shard: 1, Hard: makeHard(1, 1, 1)}},
			Done:    func() { t.Error("acknowledged what was not saved") },
		}))
		if err := <-failed; !errors.Is(err, boom) {
			t.Fatalf("fatal was told %v", err)
		}
		failing.Store(false)
		if err := w.Submit(Job{}); !errors.Is(err, kv.ErrStopped) {
			t.Fatalf("submit after a failure: %v", err)
		}
		w.Close()
		if err := l.Append([]Record{{Shard: 1, Hard: makeHard(1, 1, 1)}}); !errors.Is(err, boom) {
			t.Fatalf("append after a failure: %v", err)
		}
		if err := l.Sync(); !errors.Is(err, boom) {
			t.Fatalf("sync after a failure: %v", err)
		}
		must(t, l.Close())
	}
}
