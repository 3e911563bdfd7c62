// Package pebble is the storage engine of a real node: engine.Engine on
// Pebble (github.com/cockroachdb/pebble), a log-structured merge tree.
//
// It owns the tuning of Pebble, its key order and filters, the way in which
// an ingest becomes one atomic step, and the translation of Pebble's events,
// errors and metrics. Only package node and tests open it; everyone else sees
// engine.Engine.
//
//	Commit ──▶ WAL (unsynced) + memtable ──flush──▶ L0 ──compaction──▶ L6
//	                                                 ▲                 ▲
//	               large Ingest ── synced sstables ──┴─────────────────┘
//
// Invariants:
//
//  1. Pebble's own log is written in commit order and never synced by
//     Commit, so a crash leaves a prefix of the commits.
//  2. What is in sstables is durable, and nothing else counts as durable:
//     DurableGet reads them alone, and Flush moves all commits there.
//  3. An ingest is durable after everything committed before it. A small one
//     is a batch and a flush, a large one goes to the sstables directly.
//  4. Files in the directory "ingest" belong to no engine state: Open
//     removes what a crash left there.
package pebble

import (
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
)

// Options tune an engine. The zero value is good for a real node.
type Options struct {
	// FS is where the files are; nil is the operating system's disk.
	FS vfs.FS
	// CacheBytes is the size of the block cache, 0 for 128 MiB.
	CacheBytes int64
	// MemtableBytes is the size at which a memtable is flushed, 0 for
	// 64 MiB. Up to four of them are in memory.
	MemtableBytes uint64
	// Logger gets Pebble's events; nil drops them.
	Logger *slog.Logger
	// ReadOnly opens an existing directory and writes nothing at all.
	ReadOnly bool
	// OnFlush is called when a memtable was flushed, so that DurableGet may
	// show more than before. It must not block nor call the engine.
	OnFlush func()
}

// Engine is an engine.Engine on Pebble.
type Engine struct {
	db      *pebble.DB
	dir     string
	options *pebble.Options
	events  *events
	durable durable
	// reclaimer gives space back.
	reclaimer *reclaimer
	// ingests counts ingests, to name their files.
	ingests atomic.Uint64
	// tableBytes is the size at which an ingest begins another table.
	tableBytes uint64
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the engine in dir, and creates dir if there is none. It fails if
// another process has it open, and with kv.ErrCorrupt if files are damaged.
// Time to open depends on the commits that are in no sstable, not on the data.
func Open(dir string, opts Options) (*Engine, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		dir:        dir,
		events:     newEvents(opts.Logger, opts.OnFlush),
		tableBytes: tableBytesDefault,
		reclaimer:  newReclaimer(),
	}
	var opened atomic.Bool
	e.options = pebbleOptions(opts, e.events, &opened)
	db, err := pebble.Open(dir, e.options)
	if err != nil {
		return nil, wrap(err, "open "+dir)
	}
	e.db = db
	if opts.ReadOnly {
		return e, nil
	}
	if err := e.resetIngestDir(); err != nil {
		return nil, joinClose(err, db)
	}
	opened.Store(true)
	if db.Metrics().Compact.EstimatedDebt == 0 {
		return e, nil
	}
	// What may be compacted now is noticed after a flush.
	if _, err := db.AsyncFlush(); err != nil {
		return nil, joinClose(wrap(err, "flush "+dir), db)
	}
	return e, nil
}

// Get implements engine.Reader.
func (e *Engine) Get(key []byte) ([]byte, error) {
	return get(e.db, key)
}

// SeekPrefix implements engine.Reader.
func (e *Engine) SeekPrefix(prefix, seek []byte) (key, value []byte, err error) {
	return seekPrefix(e.db, prefix, seek)
}

// NewIter implements engine.Reader.
func (e *Engine) NewIter(lower, upper []byte) (engine.Iterator, error) {
	return newIter(e.db, lower, upper)
}

// NewSnapshot implements engine.Engine.
func (e *Engine) NewSnapshot() engine.Snapshot {
	return snapshot{e.db.NewSnapshot()}
}

// NewBatch implements engine.Engine.
func (e *Engine) NewBatch() engine.Batch {
	return &batch{engine: e, batch: e.db.NewBatch()}
}
