package raftlog

import (
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/kv"
)

func TestProtoBytes(t *testing.T) {
	for _, e := range []*raftpb.Entry{
		{},
		{Type: raftpb.EntryConfChangeV2.Enum(), Data: []byte{}},
		{Term: proto.Uint64(127), Index: proto.Uint64(128), Data: make([]byte, 127)},
		{Term: proto.Uint64(math.MaxUint64), Index: proto.Uint64(0), Data: make([]byte, 1<<14)},
	} {
		if got, want := protoBytes(e), uint64(proto.Size(e)); got != want {
			t.Errorf("%d bytes instead of %d for %v", got, want, e.String())
		}
	}
}

// TestCacheIsBounded appends to many groups: the bytes in memory stay under
// their bound, and what was evicted is read from the files.
func TestCacheIsBounded(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.CacheBytes = 20 << 10
	l := mustOpen(t, opts)
	defer l.Close()
	for i := range uint64(30) {
		for shard := range kv.ShardID(10) {
			must(t, l.Append([]Record{{Shard: shard, Entries: makeEntries(i+1, 1, 1, 500)}}))
			if n := l.Metrics()["cache_bytes"]; n > 20<<10 {
				t.Fatalf("%v bytes in memory", n)
			}
		}
	}
	var counted int64
	for shard := range kv.ShardID(10) {
		g := l.Group(shard)
		if got := cachedBytes(g.recent); got != g.recentBytes {
			t.Fatalf("%v: %d bytes in memory, counted as %d", shard, got, g.recentBytes)
		}
		counted += g.recentBytes
		for lo := uint64(1); lo <= 30; lo += 7 {
			entries, err := g.Entries(lo, 31, 1<<20)
			must(t, err)
			if len(entries) != int(31-lo) || entries[0].GetIndex() != lo {
				t.Fatalf("%v: %d entries from %d", shard, len(entries), lo)
			}
		}
	}
	if counted != l.cached.Load() || counted < 10<<10 {
		t.Fatalf("%d bytes in memory, counted as %d", counted, l.cached.Load())
	}
}
