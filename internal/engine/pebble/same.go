package pebble

import (
	"errors"
	"fmt"
	"io/fs"
)

// compareBytesMax is how much of the tables is read when the engine is opened, the
// newest first: a fraction of a second. Of the rest only the ends are.
const compareBytesMax = 256 << 20

// compareTables makes sure that the files are the tables which the ledger says. It
// changes nothing. Those that are gone are nobody's, or Pebble misses them.
func (e *Engine) compareTables(l *ledger) error {
	var found []error
	left := int64(compareBytesMax)
	for _, number := range l.numbers() {
		sum, _ := l.get(number)
		left -= sum.size
		err := e.compareTable(e.tablePath(number), sum, left >= 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// compareTable makes sure that a file is the one of a sum: all of it, or its size and
// its end.
func (e *Engine) compareTable(path string, sum tableSum, all bool) error {
	f, err := e.options.FS.Open(path)
	if err != nil {
		return wrap(err, "open "+path)
	}
	info, err := f.Stat()
	same := false
	if err == nil {
		same, err = sum.matches(f, all)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return wrap(err, "read "+path)
	}
	switch size := info.Size(); {
	case same:
		return nil
	case size != sum.size:
		return Damage{path, min(size, sum.size), fmt.Sprintf(
			"the file has %d bytes, it had %d", size, sum.size)}
	}
	if err := e.checkBlocks(path); err != nil {
		return err
	}
	return Damage{path, 0, "its blocks are whole, but it is not the table that was written"}
}

// enterTables makes the ledger list the tables that there are. It does not know those
// that a version before wrote, nor any if it was lost.
func (e *Engine) enterTables() error {
	numbers, err := e.liveTables()
	if err != nil {
		return err
	}
	l := e.noting.ledger
	sums, unknown, left := map[uint64]tableSum{}, 0, int64(compareBytesMax)
	for _, number := range numbers {
		sum, ok := l.get(number)
		if !ok {
			unknown++
			if e.options.ReadOnly {
				continue
			}
			if sum, err = e.sumTable(e.tablePath(number), left); err != nil {
				return err
			}
			left -= sum.size
		}
		sums[number] = sum
	}
	if l.found && (unknown > 0 || l.flawed && len(numbers) > 0) {
		e.badNotes = errors.Join(e.badNotes, Damage{l.path, 0, fmt.Sprintf(
			"it does not say what %d tables are, or some of it is no line", unknown)})
	}
	if e.options.ReadOnly {
		return nil
	}
	return l.rewrite(sums)
}

// sumTable makes the sum of a table as it is: of its end alone if it is larger than most.
func (e *Engine) sumTable(path string, most int64) (tableSum, error) {
	f, err := e.options.FS.Open(path)
	if err != nil {
		return tableSum{}, wrap(err, "open "+path)
	}
	info, err := f.Stat()
	if err != nil {
		return tableSum{}, joinClose(wrap(err, "read "+path), f)
	}
	sum, err := sumOf(f, info.Size(), most)
	return sum, wrap(errors.Join(err, f.Close()), "read "+path)
}
