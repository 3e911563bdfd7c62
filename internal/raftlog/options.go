package raftlog

import (
	"log/slog"
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// Durability says what Log.Sync waits for.
type Durability int

const (
	// SyncFull makes Sync wait for stable storage (fdatasync).
	SyncFull Durability = iota
	// SyncOS leaves the pages to the operating system: what was appended
	// survives a killed process, but not a power loss. Full segments and a
	// clean Close are still synced.
	SyncOS
)

// Bounds of Options.
const (
	SegmentBytesDefault = 64 << 20
	segmentBytesMin     = 4 << 10
	segmentBytesMax     = 1 << 30
	CacheBytesDefault   = 64 << 20
)

// Options says where a log lives and how it behaves. The zero value of every
// field but Dir is a sound default.
type Options struct {
	FS  vfs.FS
	Dir string
	// SegmentBytes is the size of a segment file. A batch that is larger
	// than that gets a segment of its own size.
	SegmentBytes int64
	// CacheBytes bounds the entries kept in memory, over all groups. An
	// entry counts with its data and a fixed overhead.
	CacheBytes int64
	Sync       Durability
	// Salt makes checksums of this log differ from those of another one; 0
	// draws it at random. The simulator passes its own.
	Salt   uint64
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, kv.Invalid("raft log directory is empty")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = SegmentBytesDefault
	}
	if o.SegmentBytes < segmentBytesMin || o.SegmentBytes > segmentBytesMax {
		return o, kv.Invalid("raft log segment of %d bytes, must be %d to %d",
			o.SegmentBytes, segmentBytesMin, segmentBytesMax)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = CacheBytesDefault
	}
	if o.CacheBytes < 0 {
		return o, kv.Invalid("raft log cache of %d bytes is negative", o.CacheBytes)
	}
	for o.Salt == 0 {
		o.Salt = rand.Uint64()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
