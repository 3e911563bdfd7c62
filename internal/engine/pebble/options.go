package pebble

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// formatVersion is the format of files on disk. It is raised on purpose, in a
// release of its own, because older programs can't open newer files. This
// one has columnar blocks, and tables whose footer is checked.
const formatVersion = pebble.FormatTableFormatV6

const (
	cacheBytesDefault    = 128 << 20
	memtableBytesDefault = 64 << 20
	// memtablesMax memtables may wait for their flush before writes stall, which who
	// writes should not let it come to: from memtablesBehind on the engine is behind.
	memtablesMax    = 8
	memtablesBehind = 3
	// bloomBitsPerKey costs ten bits a user key and lets one miss in a
	// hundred through.
	bloomBitsPerKey = 10
	blockBytes      = 8 << 10
	indexBlockBytes = 64 << 10
	// syncBytes smooths out writing: the kernel is asked to write back after
	// so many bytes instead of all at once.
	syncBytes = 1 << 20
	// l0Compact and l0Stop count overlapping layers of L0, each of which
	// every read looks into; from l0Behind on the engine is behind.
	l0Compact = 2
	l0Behind  = 12
	l0Stop    = 24
	// deleteRangeDelay is how long the space of a removed shard may wait in
	// a memtable.
	deleteRangeDelay = 10 * time.Second
)

// pebbleOptions is Pebble's configuration, with all defaults filled in. Pebble
// waits in Open for compactions that it has begun there, so none is begun, short
// of a large backlog, before opened is set.
func pebbleOptions(opts Options, ev *events, opened *atomic.Bool) *pebble.Options {
	o := &pebble.Options{
		FS:                          opts.FS,
		Comparer:                    comparer,
		FormatMajorVersion:          formatVersion,
		CacheSize:                   opts.CacheBytes,
		MemTableSize:                opts.MemtableBytes,
		MemTableStopWritesThreshold: memtablesMax,
		DisableWAL:                  true, // the Raft log is the write-ahead log
		BytesPerSync:                syncBytes,
		L0CompactionThreshold:       l0Compact,
		L0StopWritesThreshold:       l0Stop,
		FlushDelayDeleteRange:       deleteRangeDelay,
		ReadOnly:                    opts.ReadOnly,
		ErrorIfNotExists:            opts.ReadOnly,
		Logger:                      ev,
		EventListener:               ev.listener(),
	}
	if o.CacheSize == 0 {
		o.CacheSize = cacheBytesDefault
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = memtableBytesDefault
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockBytes
		o.Levels[i].IndexBlockSize = indexBlockBytes
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	o.CompactionConcurrencyRange = func() (lower, upper int) {
		if !opened.Load() {
			return 0, 1
		}
		return 1, max(2, runtime.GOMAXPROCS(0)/2)
	}
	// An ingest has to be in the sstables when it returns; see invariant 3.
	o.Experimental.DisableIngestAsFlushable = func() bool { return true }
	o.EnsureDefaults()
	return o
}
