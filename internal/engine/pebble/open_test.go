package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

func TestReadOnly(t *testing.T) {
	disk := vfs.NewMem()
	if _, err := Open(testDir, Options{FS: disk, ReadOnly: true}); err == nil {
		t.Fatal("opened nothing for reading")
	}
	e := mustOpen(t, Options{FS: disk})
	fill(t, e, 2, 10, []byte("v"))
	noError(t, e.Close())

	e = mustOpen(t, Options{FS: disk, ReadOnly: true})
	if got := state(t, e); got != "2v:10" {
		t.Errorf("holds %s", got)
	}
	b := e.NewBatch()
	noError(t, b.Set([]byte("k"), nil))
	if err := b.Commit(); !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("a commit gave %v", err)
	}
	_, err := e.NewIngest([]engine.Span{{End: []byte("a")}})
	if !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("an ingest gave %v", err)
	}
	noError(t, e.Check())
	noError(t, e.Close())
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(dir, Options{})
	noError(t, err)
	if second, err := Open(dir, Options{}); err == nil {
		noError(t, second.Close())
		t.Error("one directory was opened twice")
	}
	noError(t, e.Close())
}

func TestFormatIsPinned(t *testing.T) {
	e := mustOpen(t, Options{FS: vfs.NewMem()})
	defer e.Close()
	if got := e.db.FormatMajorVersion(); got != formatVersion {
		t.Errorf("format %d, want %d", got, formatVersion)
	}
}

func TestOnFlush(t *testing.T) {
	var flushes atomic.Int64
	e := mustOpen(t, Options{FS: vfs.NewMem(), OnFlush: func() { flushes.Add(1) }})
	defer e.Close()
	fill(t, e, 2, 10, []byte("v"))
	before := flushes.Load()
	noError(t, e.Flush())
	if got := flushes.Load(); got != before+1 {
		t.Errorf("OnFlush was called %d times for one flush", got-before)
	}
	noError(t, e.Flush())
	if got := flushes.Load(); got != before+1 {
		t.Error("a flush of nothing wrote something")
	}
}

func TestEvents(t *testing.T) {
	var out bytes.Buffer
	var told []error
	ev := newEvents(&Options{
		Logger:    slog.New(slog.NewTextHandler(&out, nil)),
		OnFailure: func(err error) { told = append(told, err) },
	}, &durable{})
	l := ev.listener()
	l.BackgroundError(fmt.Errorf("compaction: %w", syscall.ENOSPC))
	l.BackgroundError(errors.New("boom"))
	l.DiskSlow(pebble.DiskSlowInfo{Path: "slow.sst"})
	l.WriteStallBegin(pebble.WriteStallBeginInfo{Reason: "full"})
	l.WriteStallEnd()
	l.DataCorruption(pebble.DataCorruptionInfo{
		Path: "bad.sst", Details: errors.New("block 12/99: bad"),
	})
	ev.Errorf("number %d", 7)
	ev.Infof("hidden")
	err := ev.unlessStuck(func() error {
		ev.Fatalf("fsync of %s failed", "manifest")
		t.Error("Fatalf returned")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "fsync of manifest failed") {
		t.Errorf("who waits is told %v", err)
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "boom") {
		t.Errorf("the owner was told %v, want the first failure", told)
	}
	for _, want := range []string{
		"boom", "slow.sst", "full", "bad.sst", "offset=12", "number 7", "fsync of manifest",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(out.String(), "hidden") {
		t.Error("details are logged above debug")
	}
	if ev.failures.Load() != 2 || ev.slowWrites.Load() != 1 || ev.writeStalls.Load() != 1 ||
		ev.corruptions.Load() != 1 {
		t.Error("an event was not counted")
	}
}

func TestBatchBound(t *testing.T) {
	e := mustOpen(t, Options{FS: vfs.NewMem()})
	defer e.Close()
	b := &batch{engine: e, batch: e.db.NewBatch()}
	defer b.Close()
	noError(t, b.room(batchBytesMax/2))
	if err := b.room(batchBytesMax); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("a batch over its bound gave %v", err)
	}
}
