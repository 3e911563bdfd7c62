package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

func mustOpen(t *testing.T, opts Options) *Engine {
	t.Helper()
	e, err := Open(testDir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill sets n keys of a space to a value, in one batch.
func fill(t *testing.T, e engine.Engine, space byte, n int, value []byte) {
	t.Helper()
	b := e.NewBatch()
	for i := range n {
		noError(t, b.Set(fmt.Appendf([]byte{space}, "%04d", i), value))
	}
	noError(t, b.Commit())
}

// state sums an engine up as the count of keys of each value.
func state(t *testing.T, e engine.Engine) string {
	t.Helper()
	it, err := e.NewIter(nil, nil)
	noError(t, err)
	counts := map[string]int{}
	for ok := it.First(); ok; ok = it.Next() {
		counts[fmt.Sprintf("%d%s", it.Key()[0], it.Value()[:1])]++
	}
	noError(t, it.Error())
	noError(t, it.Close())
	var out []string
	for name, n := range counts {
		out = append(out, fmt.Sprintf("%s:%d", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// largeIngest replaces three spaces and leaves a fourth alone. It is too
// large for a batch.
func largeIngest(e engine.Engine) error {
	in, err := e.NewIngest([]engine.Span{
		{Start: []byte{2}, End: []byte{3}},
		{Start: []byte{4}, End: []byte{5}},
		{Start: []byte{5}, End: []byte{6}},
	})
	if err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{})
	for _, space := range []byte{2, 4, 5} {
		for i := range 100 {
			value := make([]byte, 2<<10)
			noise.Read(value)
			value[0] = 'n'
			if err := in.Add(fmt.Appendf([]byte{space}, "%04d", 2*i), value); err != nil {
				return errors.Join(err, in.Abort())
			}
		}
	}
	return errors.Join(in.Commit(), in.Abort())
}

const (
	stateBefore = "2o:150 3o:150 4o:150 5o:150"
	stateAfter  = "2n:100 3o:150 4n:100 5n:100"
)

// hook is called before every file operation.
type hook func(op errorfs.Op) error

func (h hook) MaybeError(op errorfs.Op) error { return h(op) }
func (h hook) String() string                 { return "hook" }

// ingestEngine holds stateBefore, some of it flushed, on a disk that calls h
// if there is one.
func ingestEngine(t *testing.T, disk *vfs.MemFS, h hook) *Engine {
	t.Helper()
	if h == nil {
		h = func(errorfs.Op) error { return nil }
	}
	e := mustOpen(t, Options{FS: errorfs.Wrap(disk, h)})
	old := bytes.Repeat([]byte("o"), 100)
	fill(t, e, 3, 150, old)
	fill(t, e, 4, 150, old)
	noError(t, e.Flush())
	fill(t, e, 2, 150, old)
	fill(t, e, 5, 150, old)
	return e
}

// TestIngestCrash loses power before the file operations of an ingest. What is
// left is the state before or after it, and of a lost ingest no file.
func TestIngestCrash(t *testing.T) {
	t.Run("linking", func(t *testing.T) {
		testIngestCrash(t, func(op errorfs.Op) (crash bool, err error) {
			// A crash beside a link would deadlock in vfs.MemFS; these are
			// all operations of one goroutine.
			return strings.Contains(op.Path, "/"+ingestDir+"/"), nil
		})
	})
	t.Run("copying", func(t *testing.T) {
		testIngestCrash(t, func(op errorfs.Op) (crash bool, err error) {
			if op.Kind == errorfs.OpLink {
				return false, errorfs.ErrInjected // so Pebble copies
			}
			return true, nil
		})
	})
}

func testIngestCrash(t *testing.T, before func(op errorfs.Op) (crash bool, err error)) {
	disk := vfs.NewCrashableMem()
	var mu sync.Mutex
	var images []*vfs.MemFS
	var watching atomic.Bool
	rng := rand.New(rand.NewPCG(1, 1))
	e := ingestEngine(t, disk, func(op errorfs.Op) error {
		if !watching.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		crash, err := before(op)
		if crash {
			mu.Lock()
			defer mu.Unlock()
			images = append(images, crashes(disk, rng)...)
		}
		return err
	})
	watching.Store(true)
	noError(t, largeIngest(e))
	watching.Store(false)
	if got := state(t, e); got != stateAfter {
		t.Fatalf("after the ingest: %s", got)
	}
	noError(t, e.Close())
	if len(images) < 20 {
		t.Fatalf("only %d crashes", len(images))
	}
	checkImages(t, images)
}

// crashes are what a crash may leave: what was synced, and half of the rest
// with it.
func crashes(disk *vfs.MemFS, rng *rand.Rand) []*vfs.MemFS {
	return []*vfs.MemFS{
		disk.CrashClone(vfs.CrashCloneCfg{}),
		disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}),
	}
}

// checkImages opens what crashes left.
func checkImages(t *testing.T, images []*vfs.MemFS) {
	t.Helper()
	seen := map[string]int{}
	for i, image := range images {
		left := mustOpen(t, Options{FS: image})
		got := state(t, left)
		seen[got]++
		if strings.Contains(got, "n:") && got != stateAfter {
			t.Errorf("crash %d left %s", i, got)
		}
		noError(t, left.Check())
		files, err := image.List(image.PathJoin(testDir, ingestDir))
		noError(t, err)
		if len(files) > 0 {
			t.Errorf("crash %d left the files %s", i, files)
		}
		noError(t, left.Close())
	}
	if seen[stateAfter] == 0 || seen[stateBefore] == 0 {
		t.Errorf("crashes left only %v", seen)
	}
}

// TestIngestFails fails one file operation of an ingest after another. The
// state stays what it was, and no file stays behind.
func TestIngestFails(t *testing.T) {
	failed := 0
	for i := range 12 {
		var countdown atomic.Int64
		countdown.Store(1 << 60)
		e := ingestEngine(t, vfs.NewMem(), func(op errorfs.Op) error {
			ours := strings.Contains(op.Path, "/"+ingestDir+"/")
			if ours && op.Kind.ReadOrWrite() == errorfs.OpIsWrite &&
				op.Kind != errorfs.OpRemove && countdown.Add(-1) == 0 {
				return errorfs.ErrInjected
			}
			return nil
		})
		countdown.Store(int64(i + 1))
		err := largeIngest(e)
		countdown.Store(1 << 60)
		want := stateAfter
		if err != nil {
			failed++
			want = stateBefore
			if !errors.Is(err, errorfs.ErrInjected) {
				t.Errorf("operation %d: %v", i, err)
			}
		}
		if got := state(t, e); got != want {
			t.Errorf("operation %d: %v, then %s", i, err, got)
		}
		files, err := e.options.FS.List(e.options.FS.PathJoin(testDir, ingestDir))
		noError(t, err)
		if len(files) > 0 {
			t.Errorf("operation %d left the files %s", i, files)
		}
		noError(t, largeIngest(e))
		noError(t, e.Close())
	}
	if failed < 5 {
		t.Errorf("only %d ingests failed", failed)
	}
}

// flip changes one byte in the middle of a file.
func flip(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	noError(t, err)
	info, err := f.Stat()
	noError(t, err)
	buf := make([]byte, 1)
	_, err = f.ReadAt(buf, info.Size()/3)
	noError(t, err)
	buf[0] ^= 0x40
	_, err = f.WriteAt(buf, info.Size()/3)
	noError(t, err)
	noError(t, f.Close())
}

// find returns the path of the newest file with a suffix.
func find(t *testing.T, fs vfs.FS, suffix string) string {
	t.Helper()
	files, err := fs.List(testDir)
	noError(t, err)
	newest := ""
	for _, name := range files {
		if strings.HasSuffix(name, suffix) {
			newest = max(newest, name)
		}
	}
	return fs.PathJoin(testDir, newest)
}

func TestDamagedTable(t *testing.T) {
	disk := vfs.NewMem()
	e := mustOpen(t, Options{FS: disk})
	fill(t, e, 2, 1000, bytes.Repeat([]byte("v"), 100))
	noError(t, e.Close())
	path := find(t, disk, ".sst")
	e = mustOpen(t, Options{FS: disk})
	defer e.Close()
	flip(t, disk, path)
	err := e.Check()
	if !errors.Is(err, kv.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("Check found %v", err)
	}
	it, err := e.NewIter(nil, nil)
	noError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
	}
	if err := it.Error(); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("a scan found %v", err)
	}
	if err := it.Close(); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("closing the scan gave %v", err)
	}
	corrupt := 0
	for i := range 1000 {
		_, err := e.Get(fmt.Appendf([]byte{2}, "%04d", i))
		_, _, err2 := e.SeekPrefix([]byte{2}, fmt.Appendf([]byte{2}, "%04d", i))
		if errors.Is(err, kv.ErrCorrupt) && errors.Is(err2, kv.ErrCorrupt) {
			corrupt++
		} else if err != nil || err2 != nil {
			t.Fatalf("key %d: %v and %v", i, err, err2)
		}
	}
	if corrupt == 0 || corrupt == 1000 {
		t.Errorf("%d of 1000 keys are corrupt", corrupt)
	}
	if e.Metrics()["corruptions_total"] == 0 {
		t.Error("no corruption was counted")
	}
}
