package raftlog

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// benchEntryBytes is the size of an entry's data.
const benchEntryBytes = 200

// BenchmarkAppend saves entries on a real file system, so many for each sync,
// into segments that are used again as on a node that has run for a while.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "raft")
			l := mustOpen(b, Options{Dir: dir, SegmentBytes: 16 << 20})
			defer l.Close()
			recycleSegments(b, l)
			benchAppend(b, l, n, l.Sync)
		})
	}
}

// BenchmarkAppendFresh is the same in the first segment of a new log, which has
// to be filled with zeros first.
func BenchmarkAppendFresh(b *testing.B) {
	b.Run("entries=256", func(b *testing.B) {
		l := mustOpen(b, Options{Dir: filepath.Join(b.TempDir(), "raft"), SegmentBytes: 1 << 30})
		defer l.Close()
		benchAppend(b, l, 256, l.Sync)
	})
}

// recycleSegments writes until there are old segments to use.
func recycleSegments(b *testing.B, l *Log) {
	b.Helper()
	for i := uint64(1); l.files.head().head.id < 6; i++ {
		must(b, l.Append([]Record{{Shard: 2, Entries: makeEntries(i, 1, 1, 1<<20)}}))
		l.Group(2).Truncate(i)
	}
	must(b, l.Sync())
}

// BenchmarkAppendMemory is the same without a disk: it counts the CPU.
func BenchmarkAppendMemory(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			l := mustOpen(b, Options{FS: vfs.NewMem(), Dir: "raft", SegmentBytes: 1 << 20})
			defer l.Close()
			benchAppend(b, l, n, l.Sync)
		})
	}
}

// benchAppend appends the same entries to one group over and over, as a group
// does that truncates behind itself.
func benchAppend(b *testing.B, l *Log, n int, sync func() error) {
	entries := makeEntries(1, n, 1, benchEntryBytes)
	recs := []Record{{Shard: 1, Entries: entries, Hard: makeHard(1, 1, 1)}}
	g := l.Group(1)
	b.ReportAllocs()
	for round := uint64(0); b.Loop(); round++ {
		for i, e := range entries {
			*e.Index = round*uint64(n) + uint64(i) + 1
		}
		must(b, l.Append(recs))
		must(b, sync())
		if round%1024 == 1023 {
			g.Truncate(round * uint64(n))
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkGrowingFile is what a plain file that grows would give: the same
// bytes, written at the end and synced.
func BenchmarkGrowingFile(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			f, err := vfs.Default.Create(filepath.Join(b.TempDir(), "log"), diskCategory)
			must(b, err)
			defer f.Close()
			buf := make([]byte, n*(benchEntryBytes+3)+64)
			for b.Loop() {
				_, err := f.Write(buf)
				must(b, err)
				must(b, f.SyncData())
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkEntries reads 64 entries out of the cache, or out of files.
func BenchmarkEntries(b *testing.B) {
	for name, cache := range map[string]int64{"cache": CacheBytesDefault, "file": 1} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, batch), func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "raft")
				l := mustOpen(b, Options{Dir: dir, CacheBytes: cache})
				defer l.Close()
				for i := 0; i < 1024; i += batch {
					must(b, l.Append([]Record{{
						Shard:   1,
						Entries: makeEntries(uint64(i+1), batch, 1, benchEntryBytes),
					}}))
				}
				b.ReportAllocs()
				var got []*raftpb.Entry
				for b.Loop() {
					got, _ = l.Group(1).Entries(449, 513, 1<<30)
				}
				if len(got) != 64 {
					b.Fatalf("%d entries", len(got))
				}
			})
		}
	}
}

// BenchmarkOpen opens a log with a live tail of 1000 entries in each of some
// groups, and a new one, as the simulator does.
func BenchmarkOpen(b *testing.B) {
	for _, groups := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			opts := Options{FS: vfs.NewMem(), Dir: "raft", SegmentBytes: 64 << 10}
			l := mustOpen(b, opts)
			for i := range 1000 {
				for shard := range kv.ShardID(groups) {
					must(b, l.Append([]Record{{
						Shard: shard, Entries: makeEntries(uint64(i+1), 1, 1, benchEntryBytes),
					}}))
				}
			}
			must(b, l.Close())
			b.ReportAllocs()
			for b.Loop() {
				if groups == 0 {
					opts.FS = vfs.NewMem()
				}
				must(b, mustOpen(b, opts).Close())
			}
		})
	}
}

// TestAppendAllocates holds Append to its word: no allocation per entry.
func TestAppendAllocates(t *testing.T) {
	l := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "raft", SegmentBytes: 1 << 20})
	defer l.Close()
	entries := makeEntries(1, 64, 1, benchEntryBytes)
	recs := []Record{{Shard: 1, Entries: entries, Hard: makeHard(1, 1, 1)}}
	next := uint64(1)
	perRun := testing.AllocsPerRun(500, func() {
		for _, e := range entries {
			*e.Index = next
			next++
		}
		must(t, l.Append(recs))
		must(t, l.Sync())
	})
	if perRun > 8 {
		t.Fatalf("%v allocations for 64 entries", perRun)
	}
}
