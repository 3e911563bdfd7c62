package raftlog

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestRecoveredIsDurable kills a process and then cuts the power of the one
// that recovered: what the second one found must survive, though nobody but
// Open ever synced it.
func TestRecoveredIsDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	killed := mustOpen(t, testOptions(fs))
	must(t, killed.Append([]Record{{Shard: 1, Entries: makeEntries(1, 3, 1, 10)}}))
	l := mustOpen(t, testOptions(fs))
	wantEntries(t, l.Group(1), 1, 1, 1, 1)
	image := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, l.Close())
	l = mustOpen(t, testOptions(image))
	wantEntries(t, l.Group(1), 1, 1, 1, 1)
	must(t, l.Close())
}

// TestSyncOS never waits for the disk, but survives a killed process, and a
// clean stop followed by a power loss.
func TestSyncOS(t *testing.T) {
	fs := vfs.NewCrashableMem()
	opts := testOptions(fs)
	opts.Sync = SyncOS
	l := mustOpen(t, opts)
	before := syncs(l)
	must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(1, 3, 1, 10)}}))
	must(t, l.Sync())
	if n := syncs(l) - before; n != 0 {
		t.Fatalf("synced %d times", n)
	}
	killed := mustOpen(t, testOptions(readDisk(t, fs).fs(t)))
	wantEntries(t, killed.Group(1), 1, 1, 1, 1)
	must(t, killed.Close())
	must(t, l.Close())
	l = mustOpen(t, testOptions(fs.CrashClone(vfs.CrashCloneCfg{})))
	wantEntries(t, l.Group(1), 1, 1, 1, 1)
	must(t, l.Close())
}

// TestLeftoversGo puts files into the directory that a crash while segments
// were recycled may leave: they must neither disturb nor stay for ever.
func TestLeftoversGo(t *testing.T) {
	fs, l, m := smallLog(t)
	must(t, l.Close())
	d := readDisk(t, fs)
	d[segmentName(1)] = []byte("whatever")
	d[segmentName(2)] = make([]byte, segmentBytesMin)
	for id := range uint64(5) {
		d[spareName(id+1)] = make([]byte, segmentBytesMin)
	}
	opts := damageOptions
	opts.FS = d.fs(t)
	l = mustOpen(t, opts)
	if diff := m.diff(l, true); diff != "" {
		t.Fatal(diff)
	}
	must(t, l.Close())
	after := readDisk(t, opts.FS)
	extra := len(after) - len(after.segments()) - len([]string{noteName})
	if extra > sparesMax || after[segmentName(1)] != nil {
		t.Fatalf("%d spare files, segments %v", extra, after.segments())
	}
}

// TestDeadSegmentsGoEarly fills many segments and truncates all of it: the next
// small append gives the space back.
func TestDeadSegmentsGoEarly(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	defer l.Close()
	for i := range uint64(30) {
		must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(i+1, 1, 1, 40<<10)}}))
	}
	l.Group(1).Truncate(30)
	must(t, l.Append([]Record{{Shard: 1, Hard: makeHard(1, 1, 30)}}))
	if n := l.Metrics()["disk_bytes"]; n > 3*testSegmentBytes {
		t.Fatalf("log takes %v bytes", n)
	}
	if l.Group(1).Bytes() != 0 {
		t.Fatalf("%d live bytes", l.Group(1).Bytes())
	}
}

// ExampleLog saves and reads the log of one shard.
func ExampleLog() {
	l, err := Open(Options{FS: vfs.NewMem(), Dir: "raft", SegmentBytes: 64 << 10})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	err = l.Append([]Record{{
		Shard:   7,
		Entries: makeEntries(1, 3, 1, 0),
		Hard:    makeHard(1, 2, 0),
	}})
	if err == nil {
		err = l.Sync()
	}
	if err != nil {
		panic(err)
	}
	entries, err := l.Group(kv.ShardID(7)).Entries(2, 4, 1<<20)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		fmt.Printf("%d at term %d\n", e.GetIndex(), e.GetTerm())
	}
	// Output:
	// 2 at term 1
	// 3 at term 1
}

// TestTornTailsDoNotPileUp crashes over and over so that each recovery has to
// begin a new segment. Old ones must be given back nevertheless.
func TestTornTailsDoNotPileUp(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	must(t, l.Append([]Record{{Shard: 2, Entries: makeEntries(1, 3, 1, 10)}}))
	for i := range uint64(40) {
		must(t, l.Sync())
		head := l.files.head()
		torn := head.end
		must(t, l.Append([]Record{{Shard: 1, Hard: makeHard(i, 0, 0)}}))
		must(t, l.Append([]Record{{Shard: 1, Hard: makeHard(i, 1, 0)}}))
		_, err := head.file.WriteAt(make([]byte, batchHeaderBytes), torn)
		must(t, err)
		must(t, l.files.close())
		l = mustOpen(t, testOptions(fs))
		if l.files.head().head.id == head.head.id {
			t.Fatal("went on in a segment with a torn tail")
		}
		must(t, l.Append([]Record{{Shard: 1, Hard: makeHard(i, 2, 0)}}))
		if n := len(l.files.segments); n > 8 {
			t.Fatalf("%d segments after %d crashes", n, i)
		}
	}
	wantEntries(t, l.Group(2), 1, 1, 1, 1)
	must(t, l.Close())
}
