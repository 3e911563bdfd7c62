package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Check implements engine.Engine. It verifies the checksum of every block on
// disk, then the order of all entries within and across levels. It reads
// everything and may run beside other work. The error joins a Damage for each file
// that has one.
func (e *Engine) Check() error {
	levels, err := e.db.SSTables()
	if err != nil {
		return wrap(err, "list tables")
	}
	checked := map[string]bool{}
	var found []error
	if e.badNote != nil {
		found = append(found, e.badNote)
	}
	for _, tables := range levels {
		for _, t := range tables {
			name := fmt.Sprintf("%s.sst", t.BackingSSTNum)
			if checked[name] {
				continue
			}
			checked[name] = true
			if err := e.checkTable(e.options.FS.PathJoin(e.dir, name)); err != nil {
				found = append(found, err)
			}
		}
	}
	if len(found) > 0 {
		return errors.Join(found...)
	}
	return wrap(e.db.CheckLevels(nil), "check levels of "+e.dir)
}

// checkTable reads a whole file. One that is gone was compacted meanwhile;
// CheckLevels will miss it if it was not.
func (e *Engine) checkTable(path string) error {
	file, err := e.options.FS.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return wrap(err, "open "+path)
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return joinClose(wrap(err, "read "+path), file)
	}
	if err := e.checkBlocks(readable); err != nil {
		return tableDamage(path, err)
	}
	return nil
}

// checkBlocks verifies the blocks of a table and closes it.
func (e *Engine) checkBlocks(readable objstorage.Readable) error {
	r, err := sstable.NewReader(context.Background(), readable, e.options.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}
