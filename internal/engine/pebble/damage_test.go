package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/kv"
)

// damageStep is how many bytes lie between two that a test damages in a file.
var damageStep = flag.Int("damage-step", 13, "bytes between two that are damaged")

// chain commits numbers: each commit sets the counter, and a key of its own, so
// that a state is a prefix of the commits if it has the keys up to its counter.
func chain(t testing.TB, e engine.Engine, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		b := e.NewBatch()
		number := binary.BigEndian.AppendUint64(nil, i)
		noErr(t, b.Set([]byte{2}, number))
		noErr(t, b.Set(append([]byte{3}, number...), bytes.Repeat(number[7:], 40)))
		noErr(t, b.Commit())
	}
}

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// prefix is how many commits of a chain the engine has.
func prefix(e engine.Reader) (uint64, error) {
	count := uint64(0)
	it, err := e.NewIter([]byte{3}, []byte{4})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		count++
		if number := binary.BigEndian.Uint64(it.Key()[1:]); number != count {
			return 0, errors.Join(it.Close(), fmt.Errorf("commit %d follows %d", number, count-1))
		}
		if !bytes.Equal(it.Value(), bytes.Repeat(it.Key()[8:], 40)) {
			return 0, errors.Join(it.Close(), fmt.Errorf("commit %d is %x", count, it.Value()))
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return 0, err
	}
	value, err := e.Get([]byte{2})
	if errors.Is(err, engine.ErrNotFound) && count == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if last := binary.BigEndian.Uint64(value); last != count {
		return 0, fmt.Errorf("the counter is %d after %d commits", last, count)
	}
	return count, nil
}

// chained is the files of an engine with a chain in several tables, after it was
// closed.
func chained(t *testing.T) map[string][]byte {
	t.Helper()
	disk := vfs.NewMem()
	e := mustOpen(t, Options{FS: disk})
	for i := range uint64(5) {
		chain(t, e, 20*i+1, 20*i+20)
		noErr(t, e.Flush())
	}
	noErr(t, e.Close())
	return filesOf(t, disk)
}

// filesOf are the files of the engine on a disk.
func filesOf(t *testing.T, disk vfs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	names, err := disk.List(testDir)
	noErr(t, err)
	for _, name := range names {
		path := disk.PathJoin(testDir, name)
		if info, err := disk.Stat(path); err == nil && !info.IsDir() {
			files[name], err = readFile(disk, path)
			noErr(t, err)
		}
	}
	return files
}

const chainEnd = 100

func diskOf(t *testing.T, files map[string][]byte) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewMem()
	noErr(t, disk.MkdirAll(testDir, 0o755))
	for name, data := range files {
		f, err := disk.Create(disk.PathJoin(testDir, name), vfs.WriteCategoryUnspecified)
		noErr(t, err)
		_, err = f.Write(bytes.Clone(data))
		noErr(t, errors.Join(err, f.Close()))
	}
	return disk
}

// judge opens what a damaged engine is, and wants either an error that names a file,
// or a prefix of the commits. It returns how long that is, 0 if it was refused.
func judge(t *testing.T, what string, files map[string][]byte) uint64 {
	t.Helper()
	disk := diskOf(t, files)
	e, err := Open(testDir, Options{FS: disk})
	if err != nil {
		wantNamed(t, what, err)
		return 0
	}
	var count uint64
	count, err = prefix(e)
	switch {
	case errors.Is(err, kv.ErrCorrupt):
		wantNamed(t, what, err)
	case err != nil:
		t.Errorf("%s: %v", what, err)
	}
	_ = e.Close() // a compaction may have met the damage
	return count
}

func wantNamed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, kv.ErrCorrupt) || !strings.Contains(err.Error(), testDir+"/") ||
		!strings.Contains(err.Error(), "at offset") {
		t.Errorf("%s: refused with %v", what, err)
	}
}

// steps are the places of a file that are damaged.
func steps(data []byte) []int {
	step := *damageStep
	if testing.Short() {
		step *= 10
	}
	var at []int
	for i := rand.IntN(min(step, max(len(data), 1))); i < len(data); i += step {
		at = append(at, i)
	}
	return at
}

// TestDamagedBytes flips a bit in bytes of every file: -damage-step 1 is all of them.
func TestDamagedBytes(t *testing.T) {
	whole := chained(t)
	for name, data := range whole {
		files := maps.Clone(whole)
		for _, at := range steps(data) {
			files[name] = bytes.Clone(data)
			files[name][at] ^= 1 << (at % 8)
			count := judge(t, fmt.Sprintf("flip in %s at %d", name, at), files)
			if strings.HasSuffix(name, ".sst") && count != 0 && count < chainEnd {
				t.Errorf("flip in %s at %d: %d commits", name, at, count)
			}
		}
	}
}

// TestCutFiles cuts every file to some lengths.
func TestCutFiles(t *testing.T) {
	whole := chained(t)
	for name, data := range whole {
		files := maps.Clone(whole)
		for _, size := range steps(data) {
			files[name] = data[:size]
			count := judge(t, fmt.Sprintf("%s cut to %d", name, size), files)
			if strings.HasSuffix(name, ".sst") && count != 0 {
				t.Errorf("%s cut to %d of %d was not noticed", name, size, len(data))
			}
		}
	}
}

// TestLostFiles removes each file. Only what means nothing may go unnoticed.
func TestLostFiles(t *testing.T) {
	whole := chained(t)
	for name := range whole {
		files := maps.Clone(whole)
		delete(files, name)
		count := judge(t, name+" removed", files)
		means := name != "LOCK" && name != noteName && name != ledgerName &&
			!strings.HasPrefix(name, "OPTIONS") && !strings.HasSuffix(name, ".log") // empty
		if (count == 0) != means {
			t.Errorf("%s removed: %d commits", name, count)
		}
	}
}

// TestRefusalChangesNothing: who mends what was refused has all of it back.
func TestRefusalChangesNothing(t *testing.T) {
	whole := chained(t)
	for name := range whole {
		for _, how := range []string{"remove", "flip"} {
			files := maps.Clone(whole)
			switch {
			case how == "remove":
				delete(files, name)
			case len(files[name]) > 0:
				files[name] = bytes.Clone(files[name])
				files[name][min(200, len(files[name])-1)] ^= 1
			}
			disk := diskOf(t, files)
			e, err := Open(testDir, Options{FS: disk})
			if err == nil {
				_ = e.Close()
				continue
			}
			for name, data := range files {
				got, err := readFile(disk, disk.PathJoin(testDir, name))
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s of %s was refused, and %s changed: %v", how, name, name, err)
				}
			}
		}
	}
}

// TestManifestThatLostItsEnd cuts manifests while the engine runs: what follows
// the cut is older than the rest, never a hole.
func TestManifestThatLostItsEnd(t *testing.T) {
	disk := vfs.NewCrashableMem()
	e := mustOpen(t, Options{FS: disk})
	for i := range uint64(4) {
		chain(t, e, 20*i+1, 20*i+20)
		noErr(t, e.Flush())
	}
	chain(t, e, 81, 90) // in the memtable
	left := disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1)),
	})
	noErr(t, e.Close())
	files := map[string][]byte{}
	names, err := left.List(testDir)
	noErr(t, err)
	var manifest string
	for _, name := range names {
		if info, err := left.Stat(left.PathJoin(testDir, name)); err == nil && !info.IsDir() {
			files[name], err = readFile(left, left.PathJoin(testDir, name))
			noErr(t, err)
		}
		if strings.HasPrefix(name, "MANIFEST") {
			manifest = name
		}
	}
	whole := files[manifest]
	for size := range whole {
		files[manifest] = whole[:size]
		if count := judge(t, fmt.Sprintf("manifest cut to %d", size), files); count > 0 {
			t.Errorf("manifest cut to %d of %d: opens at %d commits", size, len(whole), count)
		}
	}
	delete(files, noteName) // as after a power loss
	seen := map[uint64]bool{}
	for size := len(whole); size > 0; size-- {
		files[manifest] = whole[:size]
		seen[judge(t, fmt.Sprintf("manifest without note cut to %d", size), files)] = true
	}
	if !seen[80] || !seen[60] {
		t.Errorf("seen %v, want whole manifests and such without the last flush", seen)
	}
}

// TestNoteOfTheManifest damages the note, which loses nothing and is found.
func TestNoteOfTheManifest(t *testing.T) {
	files := chained(t)
	for at := range files[noteName] {
		files[noteName][at] ^= 16
		disk := diskOf(t, files)
		e := mustOpen(t, Options{FS: disk, ReadOnly: true})
		var d Damage
		if err := e.Check(); !errors.As(err, &d) || d.File != testDir+"/"+noteName {
			t.Errorf("check: %v", err)
		}
		noErr(t, e.Close())
		if count := judge(t, "note", files); count != chainEnd {
			t.Errorf("%d commits", count)
		}
		files[noteName][at] ^= 16
	}
}

// TestManifestDamage flips each bit of a manifest but those of its last record:
// all are noticed, at or before their place.
func TestManifestDamage(t *testing.T) {
	files := chained(t)
	var manifest []byte
	for name, data := range files {
		if strings.HasPrefix(name, "MANIFEST") {
			manifest = data
		}
	}
	if end, goesOn := scanManifest(manifest); end != len(manifest) || goesOn {
		t.Fatalf("a whole manifest of %d bytes ends at %d, %v", len(manifest), end, goesOn)
	}
	last := 0
	for at := 0; at < len(manifest); {
		_, size := chunk(manifest, at)
		last, at = at, at+size
	}
	for bit := range 8 * len(manifest) {
		bad := bytes.Clone(manifest)
		bad[bit/8] ^= 1 << (bit % 8)
		end, goesOn := scanManifest(bad)
		if end > bit/8 || goesOn != (bit/8 < last) {
			t.Errorf("flip in byte %d of %d: ends at %d, %v", bit/8, len(manifest), end, goesOn)
		}
	}
}

// TestManifestOfManyBlocks has records that span blocks.
func TestManifestOfManyBlocks(t *testing.T) {
	data, ends := records(t, 40)
	for i, end := range ends {
		if got, goesOn := scanManifest(data[:end]); got != end || goesOn {
			t.Errorf("%d records end at %d, %v, want %d", i+1, got, goesOn, end)
		}
		if i == 0 {
			continue
		}
		for _, torn := range []int{ends[i-1] + 1, (ends[i-1] + end) / 2, end - 1} {
			if got, goesOn := scanManifest(data[:torn]); got != ends[i-1] || goesOn {
				t.Errorf("torn at %d: ends at %d, %v, want %d", torn, got, goesOn, ends[i-1])
			}
		}
	}
}

func FuzzScanManifest(f *testing.F) {
	data, _ := records(f, 3)
	f.Add(data[:2000])
	f.Add(data)
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		end, goesOn := scanManifest(data)
		if end < 0 || end > len(data) || goesOn && end == len(data) {
			t.Fatalf("%d bytes end at %d, %v", len(data), end, goesOn)
		}
		if again, _ := scanManifest(data[:end]); again != end {
			t.Fatalf("the first %d bytes end at %d", end, again)
		}
	})
}

// TestReadMeetsDamage damages a table under a running engine: the read fails with
// the place, and the owner is told.
func TestReadMeetsDamage(t *testing.T) {
	disk := faultfs.New(diskOf(t, chained(t)), 1)
	var told []error
	e := mustOpen(t, Options{FS: disk, OnFailure: func(err error) { told = append(told, err) }})
	disk.Inject(faultfs.Fault{Ops: faultfs.Read, Files: ".sst", Flip: 4})
	_, err := prefix(e)
	wantNamed(t, "read", err)
	if len(told) != 1 || !errors.Is(told[0], kv.ErrCorrupt) {
		t.Errorf("told %v, want the damage once", told)
	}
	disk.LiftAll()
	_ = e.Close()
}

// TestFailedSyncs fails the syncs of each kind of file: the owner is told, and
// nobody waits for ever.
func TestFailedSyncs(t *testing.T) {
	for _, files := range []string{".sst", "MANIFEST", ledgerName} {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
			disk := faultfs.New(vfs.NewMem(), 1)
			told := make(chan error, 1)
			e := mustOpen(t, Options{FS: disk, OnFailure: func(err error) { told <- err }})
			chain(t, e, 1, 10)
			disk.Inject(faultfs.Fault{Ops: faultfs.Sync, Files: files, Errno: errno})
			flushed := make(chan error, 1)
			go func() { flushed <- e.Flush() }()
			err := <-told
			if !errors.Is(err, errno) && !strings.Contains(err.Error(), errno.Error()) {
				t.Errorf("sync of %s: told %v", files, err)
			}
			if files != ".sst" {
				if err := <-flushed; err == nil {
					t.Error("a flush ended well after a failed sync")
				}
				if err := e.Close(); err == nil {
					t.Error("a close ended well after a failed sync")
				}
				continue
			}
			disk.LiftAll() // so that the flush, which goes on, comes to its end
			noErr(t, <-flushed)
			noErr(t, e.Close())
		}
	}
}

// TestOpenOnAFullDisk is refused in words, and works once there is room.
func TestOpenOnAFullDisk(t *testing.T) {
	disk := diskOf(t, chained(t))
	full := faultfs.New(disk, 1)
	full.Inject(faultfs.Fault{Ops: faultfs.Space, Errno: syscall.ENOSPC})
	_, err := Open(testDir, Options{FS: full})
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("open: %v", err)
	}
	left := vfs.NewMem() // the lock may be held until the process ends
	ok, err := vfs.Clone(disk, left, testDir, testDir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	e := mustOpen(t, Options{FS: left})
	if count, err := prefix(e); err != nil || count != chainEnd {
		t.Errorf("%d commits, %v", count, err)
	}
	noErr(t, e.Close())
}

// TestOpensWhatHadALog opens an engine of the time when it had a log of its own,
// which a kill left behind.
func TestOpensWhatHadALog(t *testing.T) {
	disk := vfs.NewCrashableMem()
	e := &Engine{dir: testDir, reclaimer: newReclaimer()}
	e.events = newEvents(&Options{Logger: discard}, &e.durable)
	e.options = pebbleOptions(Options{FS: disk}, e.events, &e.opened)
	e.options.DisableWAL = false
	noErr(t, e.open())
	chain(t, e, 1, 20)
	noErr(t, e.Flush())
	chain(t, e, 21, 50)
	noErr(t, e.db.LogData(nil, pebble.Sync))
	killed := disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1)),
	})
	noErr(t, e.Close())
	// Nor did it have a ledger.
	noErr(t, killed.Remove(killed.PathJoin(testDir, ledgerName)))
	again := mustOpen(t, Options{FS: killed})
	if count, err := prefix(again); err != nil || count != 50 {
		t.Errorf("%d commits, %v", count, err)
	}
	noErr(t, again.Check())
	noErr(t, again.Close())
}
