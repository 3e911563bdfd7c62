package raftlog

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestIdleGroupsPinNothing writes through one group for long, while many others
// sit idle with a few entries each. The log must stay small.
func TestIdleGroupsPinNothing(t *testing.T) {
	fs := vfs.NewMem()
	opts := testOptions(fs)
	l := mustOpen(t, opts)
	const idle = 40
	for shard := range kv.ShardID(idle) {
		must(t, l.Append([]Record{{
			Shard: shard + 2, Reset: &Position{Index: 5, Term: 2},
			Entries: makeEntries(6, 5, 3, 200), Hard: makeHard(3, 1, 6),
		}}))
	}
	for i := range uint64(2000) {
		must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(i+1, 1, 1, 2000)}}))
		l.Group(1).Truncate(i + 1)
		if n := len(l.files.segments) + len(l.files.spares); n > 10 {
			t.Fatalf("after %d entries the log has %d segments", i, n)
		}
	}
	m := l.Metrics()
	if m["rewritten_bytes_total"] > m["appended_bytes_total"]/2 {
		t.Fatalf("rewrote %v of %v bytes", m["rewritten_bytes_total"], m["appended_bytes_total"])
	}
	must(t, l.Close())
	l = mustOpen(t, opts)
	for shard := range kv.ShardID(idle) {
		g := l.Group(shard + 2)
		wantEntries(t, g, 6, 3, 3, 3, 3, 3)
		if term, err := g.Term(5); err != nil || term != 2 || g.HardState().GetCommit() != 6 {
			t.Fatalf("%v: term %d, %v, hard state %v", shard, term, err, g.HardState())
		}
	}
	must(t, l.Close())
}

// TestLargeRecords saves entries that are larger than a segment.
func TestLargeRecords(t *testing.T) {
	fs := vfs.NewMem()
	opts := testOptions(fs)
	opts.CacheBytes = 1
	l := mustOpen(t, opts)
	for i := range uint64(5) {
		must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(i*3+1, 3, 1, 50<<10)}}))
		must(t, l.Append([]Record{{Shard: 2, Hard: makeHard(i+1, 0, 0)}}))
		must(t, l.Sync())
	}
	for range 2 {
		wantEntries(t, l.Group(1), 1, slices.Repeat([]uint64{1}, 15)...)
		must(t, l.Close())
		l = mustOpen(t, opts)
	}
	l.Group(1).Truncate(15)
	for i := range uint64(300) {
		must(t, l.Append([]Record{{Shard: 1, Entries: makeEntries(16+i, 1, 1, 1<<10)}}))
		l.Group(1).Truncate(16 + i)
	}
	if n := l.Metrics()["disk_bytes"]; n > 10*testSegmentBytes {
		t.Fatalf("log takes %v bytes", n)
	}
	must(t, l.Close())
}

// TestReadersBesideTheWriter reads and truncates while segments are written,
// rewritten and used again. It is for the race detector, too.
func TestReadersBesideTheWriter(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.SegmentBytes, opts.CacheBytes = 8<<10, 2<<10
	l := mustOpen(t, opts)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for r := range uint64(2) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(r, 4))
			for !stop.Load() {
				readSome(t, l.Group(kv.ShardID(rng.IntN(3))), rng)
			}
		})
	}
	for i := range uint64(1500) {
		for shard := range kv.ShardID(3) {
			if shard > 0 && i%(40*uint64(shard)) != 0 {
				continue
			}
			g := l.Group(shard)
			last, _ := g.LastIndex()
			must(t, l.Append([]Record{{Shard: shard, Entries: makeEntries(last+1, 3, 1, 200)}}))
			if last > 30 {
				g.Truncate(last - 20)
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	if l.Metrics()["rewritten_bytes_total"] == 0 {
		t.Error("nothing was rewritten")
	}
	must(t, l.Close())
}

func readSome(t *testing.T, g *Group, rng *rand.Rand) {
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	if first > last {
		return
	}
	lo := first + rng.Uint64N(last-first+1)
	maxSize := rng.Uint64N(3000)
	entries, err := g.Entries(lo, last+1, maxSize)
	if errors.Is(err, raft.ErrCompacted) {
		return
	}
	if err != nil || len(entries) == 0 {
		t.Errorf("%v: entries from %d to %d: %d, %v", g.shard, lo, last, len(entries), err)
		return
	}
	var size uint64
	for i, e := range entries {
		size += protoBytes(e)
		if e.GetIndex() != lo+uint64(i) || len(e.Data) != 200 {
			t.Errorf("%v: entry %d is %v", g.shard, lo+uint64(i), e)
		}
	}
	if size > maxSize && len(entries) > 1 {
		t.Errorf("%v: %d bytes of entries, at most %d wanted", g.shard, size, maxSize)
	}
}
