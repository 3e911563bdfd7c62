package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
)

const (
	ingestDir = "ingest"
	// tableBytesDefault is the size at which a table ends and the next begins.
	tableBytesDefault = 64 << 20
	// tableLevel is where tables are meant to end up; it sets their blocks
	// and filters.
	tableLevel = 6
)

// tables writes an ingest to sstables, which Pebble takes all in a single
// atomic step. A range deletion in each of them empties its part of the spans:
// it deletes what is older than the table and nothing of the table.
//
//	spans      [02 S …)     [04 a   …   04 m)       [05 S …)
//	tables     │ table 1 │  │ table 2 │ table 3 │   │ table 4 │
//	deletions  ├─────────┤  ├─────────┼─────────┤   ├─────────┤
//
// Pebble's "excise" would free the old data sooner, but not atomically: for a
// moment readers see neither the old nor the new, and snapshots lose data.
type tables struct {
	engine *Engine
	spans  []engine.Span
	// span is the index of the span that is being written, and start the
	// first key that the current table is responsible for.
	span   int
	start  []byte
	writer *sstable.Writer
	name   string
	paths  []string
}

// newTables begins with the first of spans.
func (e *Engine) newTables(spans []engine.Span) *tables {
	return &tables{
		engine: e,
		spans:  spans,
		start:  spans[0].Start,
		name:   fmt.Sprintf("%06d", e.ingests.Add(1)),
	}
}

// add writes the next pair. It lies in the current span or a later one.
func (t *tables) add(key, value []byte) error {
	for string(key) >= string(t.spans[t.span].End) {
		if err := t.endSpan(); err != nil {
			return err
		}
	}
	if t.writer != nil && t.writer.Raw().EstimatedSize() > t.engine.tableBytes {
		if err := t.endTable(key); err != nil {
			return err
		}
	}
	if err := t.open(); err != nil {
		return err
	}
	return t.writer.Set(key, value)
}

// open makes sure that there is a table to write to.
func (t *tables) open() error {
	if t.writer != nil {
		return nil
	}
	o := t.engine.options
	base := fmt.Sprintf("%s-%04d.sst", t.name, len(t.paths))
	path := o.FS.PathJoin(t.engine.dir, ingestDir, base)
	file, err := o.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	t.paths = append(t.paths, path)
	// Finishing the writable syncs the file, which Pebble leaves to us.
	writable := objstorageprovider.NewFileWritable(file)
	format := t.engine.db.TableFormat()
	t.writer = sstable.NewWriter(writable, o.MakeWriterOptions(tableLevel, format))
	return nil
}

// endSpan finishes the current span and moves to the next, if there is one.
func (t *tables) endSpan() error {
	if err := t.endTable(t.spans[t.span].End); err != nil {
		return err
	}
	if t.span++; t.span < len(t.spans) {
		t.start = t.spans[t.span].Start
	}
	return nil
}

// endTable finishes the current table, which is responsible for [t.start,
// end). A span has one even if it got no pairs.
func (t *tables) endTable(end []byte) error {
	if err := t.open(); err != nil {
		return err
	}
	if err := t.writer.DeleteRange(t.start, end); err != nil {
		return err
	}
	t.start = append([]byte(nil), end...)
	err := t.writer.Close()
	t.writer = nil
	return err
}

// commit puts the tables in place. A failure leaves the engine as it was.
func (t *tables) commit() error {
	for t.span < len(t.spans) {
		if err := t.endSpan(); err != nil {
			return errors.Join(err, t.abort())
		}
	}
	// Pebble makes the tables durable at once, and they must not survive a
	// crash that earlier commits do not.
	if err := t.engine.Flush(); err != nil {
		return errors.Join(err, t.abort())
	}
	if err := t.engine.db.Ingest(context.Background(), t.paths); err != nil {
		return errors.Join(err, t.abort())
	}
	return nil
}

// abort closes and removes the files.
func (t *tables) abort() error {
	var errs []error
	if t.writer != nil {
		errs = append(errs, t.writer.Close())
		t.writer = nil
	}
	for _, path := range t.paths {
		if err := t.engine.options.FS.Remove(path); err != nil {
			errs = append(errs, err)
		}
	}
	t.paths = nil
	return errors.Join(errs...)
}

// resetIngestDir makes an empty directory for tables.
func (e *Engine) resetIngestDir() error {
	path := e.options.FS.PathJoin(e.dir, ingestDir)
	if err := e.options.FS.RemoveAll(path); err != nil {
		return wrap(err, "empty "+path)
	}
	return wrap(e.options.FS.MkdirAll(path, 0o755), "make "+path)
}
