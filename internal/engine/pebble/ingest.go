package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/miruvor/miruvor/internal/engine"
)

// ingestBatchBytes is the size up to which an ingest is one batch. A larger
// one is written to sstables, beside the log and the memtables.
const ingestBatchBytes = 256 << 10

var errIngestUsed = errors.New("pebble: ingest was already committed or aborted")

// ingest implements engine.Ingest. Pairs gather in batch; once there are too
// many they move to tables, and batch is nil.
type ingest struct {
	engine *Engine
	order  *engine.IngestOrder
	batch  *pebble.Batch
	tables *tables
	used   bool
}

// NewIngest implements engine.Engine.
func (e *Engine) NewIngest(spans []engine.Span) (engine.Ingest, error) {
	if e.options.ReadOnly {
		return nil, wrap(pebble.ErrReadOnly, "ingest")
	}
	order, err := engine.NewIngestOrder(alignSpans(spans))
	if err != nil {
		return nil, err
	}
	in := &ingest{engine: e, order: order, batch: e.db.NewBatch()}
	for _, s := range order.Spans() {
		if err := in.batch.DeleteRange(s.Start, s.End, nil); err != nil {
			return nil, joinClose(wrap(err, "ingest"), in.batch)
		}
	}
	return in, nil
}

func (i *ingest) Add(key, value []byte) error {
	if i.used {
		return errIngestUsed
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if err := i.order.Next(key); err != nil {
		return err
	}
	if i.tables == nil && i.batch.Len()+len(key)+len(value) > ingestBatchBytes {
		if err := i.spill(); err != nil {
			return wrap(err, "ingest")
		}
	}
	if i.tables != nil {
		return wrap(i.tables.add(key, value), "ingest")
	}
	return wrap(i.batch.Set(key, value, nil), "ingest")
}

// spill moves the pairs of the batch to tables.
func (i *ingest) spill() error {
	t := i.engine.newTables(i.order.Spans())
	i.tables = t
	for r := i.batch.Reader(); ; {
		kind, key, value, ok, err := r.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if kind != pebble.InternalKeyKindSet {
			continue // the ranges to delete, which tables know
		}
		if err := t.add(key, value); err != nil {
			return err
		}
	}
	err := i.batch.Close()
	i.batch = nil
	return err
}

func (i *ingest) Commit() error {
	if i.used {
		return errIngestUsed
	}
	i.used = true
	if i.tables != nil {
		return wrap(i.tables.commit(), "ingest")
	}
	if err := i.engine.commit(i.batch); err != nil {
		return err
	}
	return i.engine.Flush()
}

func (i *ingest) Abort() error {
	if i.used {
		return nil
	}
	i.used = true
	if i.tables != nil {
		return wrap(i.tables.abort(), "abort ingest")
	}
	return wrap(i.batch.Close(), "abort ingest")
}
