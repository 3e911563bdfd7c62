package pebble

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// durable tells whether the memtables hold anything, so that a flush of
// nothing costs nothing.
type durable struct {
	// begun and ended count commits, before and after they are applied.
	begun, ended atomic.Uint64
	// unflushed are roughly the bytes of commits since the last flush began,
	// flushing those that it writes.
	unflushed, flushing atomic.Int64

	mu sync.Mutex // held through a flush
	// flushed is what begun was before the last flush, if every commit had
	// ended then: all of these are in sstables.
	flushed uint64
}

// flushBegins and flushEnds are called by Pebble, in turn.
func (d *durable) flushBegins() { d.flushing.Store(d.unflushed.Swap(0)) }
func (d *durable) flushEnds()   { d.flushing.Store(0) }

// commit applies and closes b without waiting for the disk.
func (e *Engine) commit(b *pebble.Batch) error {
	e.durable.begun.Add(1)
	e.durable.unflushed.Add(int64(b.Len()))
	err := b.Commit(pebble.NoSync)
	e.durable.ended.Add(1)
	return wrap(errors.Join(err, b.Close()), "commit")
}

// Flush implements engine.Engine: it writes the memtables to sstables. It
// takes about 10 ms when they hold little and a few 100 ms when they are
// full; calls that wait for one another share their work.
func (e *Engine) Flush() error {
	d := &e.durable
	d.mu.Lock()
	defer d.mu.Unlock()
	// Counted in this order, equal numbers mean that no commit was under way.
	ended := d.ended.Load()
	begun := d.begun.Load()
	if begun == d.flushed {
		return nil
	}
	if err := e.events.unlessStuck(e.db.Flush); err != nil {
		return wrap(err, "flush")
	}
	if begun == ended {
		d.flushed = begun
	}
	return nil
}

// DurableGet implements engine.Engine: it reads sstables alone.
func (e *Engine) DurableGet(key []byte) ([]byte, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true})
	if err != nil {
		return nil, wrapKey(err, "durable get", key)
	}
	found := it.SeekGE(align(key)) && bytes.Equal(it.Key(), key)
	_, value, err := copyAndClose(it, found)
	return value, wrapKey(err, "durable get", key)
}

// Close implements engine.Engine. It flushes, so that the next Open has
// nothing to replay.
func (e *Engine) Close() error {
	e.reclaimer.close()
	var err error
	if !e.options.ReadOnly {
		err = e.Flush()
	}
	e.events.closing.Store(true)
	err = errors.Join(err, wrap(e.events.unlessStuck(e.db.Close), "close"))
	return errors.Join(err, e.noting.close())
}
