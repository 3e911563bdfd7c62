// Package pebble is the storage engine of a real node: engine.Engine on
// Pebble (github.com/cockroachdb/pebble), a log-structured merge tree.
//
// It owns the tuning of Pebble, its key order and filters, the way in which
// an ingest becomes one atomic step, and the translation of Pebble's events,
// errors and metrics. Only package node and tests open it; everyone else sees
// engine.Engine.
//
//	Commit ──▶ memtable ──flush──▶ L0 ──compaction──▶ L6
//	                                ▲                 ▲
//	 large Ingest ── synced tables ─┴─────────────────┘
//
// Invariants:
//
//  1. Memtables are flushed in the order of the commits, each as a whole, and Pebble
//     keeps no log of its own. So a crash leaves a prefix of the commits, and so does
//     a manifest that lost its end (docs/decisions/0013).
//  2. What is in sstables is durable, and nothing else counts as durable:
//     DurableGet reads them alone, and Flush moves all commits there.
//  3. An ingest is durable after everything committed before it. A small one
//     is a batch and a flush, a large one goes to the sstables directly.
//  4. Files in the directory "ingest" belong to no engine state: Open
//     removes what a crash left there.
package pebble

import (
	"errors"
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
	// 64 MiB. Up to eight of them are in memory, and seldom more than three.
	MemtableBytes uint64
	// Logger gets Pebble's events; nil drops them.
	Logger *slog.Logger
	// ReadOnly opens an existing directory and writes nothing at all.
	ReadOnly bool
	// OnFlush is called when a memtable was flushed, so that DurableGet may
	// show more than before. It must not block nor call the engine.
	OnFlush func()
	// OnFailure is called once, with the first reason why the engine can't be relied
	// on any more: a table that fails its checks (Damage), a flush or a compaction that
	// failed (a compaction for lack of space is tried again instead), or a
	// sync after which nobody knows what is stored. The process should
	// stop then, without Close, which may wait for ever. It must not block nor call the
	// engine.
	OnFailure func(error)
}

// Engine is an engine.Engine on Pebble.
type Engine struct {
	db      *pebble.DB
	dir     string
	options *pebble.Options
	events  *events
	durable durable
	// noting notes how far the manifest is synced, and which tables there are. badNotes
	// is the damage of these notes that was found, if any.
	noting   *notingFS
	badNotes error
	// opened is set once compactions may begin.
	opened atomic.Bool
	// reclaimer gives space back.
	reclaimer *reclaimer
	// ingests counts ingests, to name their files.
	ingests atomic.Uint64
	// tableBytes is the size at which an ingest begins another table.
	tableBytes uint64
}

var _ engine.Engine = (*Engine)(nil)

var discard = slog.New(slog.DiscardHandler)

// Open opens the engine in dir, and creates dir if there is none. It fails if
// another process has it open, and with kv.ErrCorrupt if files are damaged; then
// nothing has been changed.
// Time to open depends on the commits that are in no sstable, not on the data.
func Open(dir string, opts Options) (*Engine, error) {
	if opts.Logger == nil {
		opts.Logger = discard
	}
	e := &Engine{
		dir:        dir,
		tableBytes: tableBytesDefault,
		reclaimer:  newReclaimer(),
	}
	e.events = newEvents(&opts, &e.durable)
	e.options = pebbleOptions(opts, e.events, &e.opened)
	if err := e.events.unlessStuck(e.open); err != nil {
		return nil, wrap(err, "open "+dir)
	}
	if opts.ReadOnly {
		return e, nil
	}
	if err := e.resetIngestDir(); err != nil {
		return nil, joinClose(err, e.db)
	}
	e.opened.Store(true)
	if e.db.Metrics().Compact.EstimatedDebt == 0 {
		return e, nil
	}
	// What may be compacted now is noticed after a flush.
	if _, err := e.db.AsyncFlush(); err != nil {
		return nil, joinClose(wrap(err, "flush "+dir), e.db)
	}
	return e, nil
}

// open has Pebble open what has passed inspection.
func (e *Engine) open() error {
	found, err := inspect(e.options.FS, e.dir, e.options)
	if err != nil {
		return err
	}
	if found.torn > 0 {
		e.events.log.Warn("the engine's manifest ends in a torn record", "offset", found.torn)
	}
	ledger, err := readLedger(e.options.FS, e.dir)
	if err != nil {
		return err
	}
	if err := e.compareTables(ledger); err != nil {
		return err
	}
	e.badNotes = found.note
	e.noting = newNotingFS(e.options.FS, e.dir, ledger)
	e.options.FS = e.noting
	if e.db, err = pebble.Open(e.dir, e.options); err != nil {
		return errors.Join(e.openDamage(err), e.noting.close())
	}
	if err = e.enterTables(); err != nil {
		return errors.Join(err, e.db.Close(), e.noting.close())
	}
	if e.badNotes != nil {
		e.events.log.Warn("the engine's notes are of no use, and made anew", "err", e.badNotes)
	}
	return nil
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
