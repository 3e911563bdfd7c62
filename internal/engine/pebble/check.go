package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2/sstable"
)

// Check implements engine.Engine. It verifies the checksum of every block on
// disk, then the order of all entries within and across levels. It reads
// everything and may run beside other work. The error joins a Damage for each file
// that has one.
func (e *Engine) Check() error {
	numbers, err := e.liveTables()
	if err != nil {
		return err
	}
	var found []error
	if e.badNotes != nil {
		found = append(found, e.badNotes)
	}
	for _, number := range numbers {
		if err := e.checkTable(number); err != nil {
			found = append(found, err)
		}
	}
	if len(found) > 0 {
		return errors.Join(found...)
	}
	return wrap(e.db.CheckLevels(nil), "check levels of "+e.dir)
}

// liveTables are the numbers of the tables that are the state.
func (e *Engine) liveTables() ([]uint64, error) {
	levels, err := e.db.SSTables()
	if err != nil {
		return nil, wrap(err, "list tables")
	}
	live := map[uint64]bool{}
	for _, tables := range levels {
		for _, t := range tables {
			live[uint64(t.BackingSSTNum)] = true
		}
	}
	return slices.Sorted(maps.Keys(live)), nil
}

func (e *Engine) tablePath(number uint64) string {
	return e.options.FS.PathJoin(e.dir, fmt.Sprintf("%06d.sst", number))
}

// checkTable reads a whole file. One that is gone was compacted meanwhile;
// CheckLevels will miss it if it was not.
func (e *Engine) checkTable(number uint64) error {
	path := e.tablePath(number)
	err := e.checkBlocks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if sum, ok := e.noting.ledger.get(number); ok && err == nil {
		err = e.compareTable(path, sum, true)
	}
	return err
}

// checkBlocks verifies the blocks of a table.
func (e *Engine) checkBlocks(path string) error {
	file, err := e.options.FS.Open(path)
	if err != nil {
		return wrap(err, "open "+path)
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return joinClose(wrap(err, "read "+path), file)
	}
	r, err := sstable.NewReader(context.Background(), readable, e.options.MakeReaderOptions())
	if err != nil {
		return tableDamage(path, errors.Join(err, readable.Close()))
	}
	if err := errors.Join(r.ValidateBlockChecksums(), r.Close()); err != nil {
		return tableDamage(path, err)
	}
	return nil
}
