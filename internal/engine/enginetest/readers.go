package enginetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

// testReaders reads while others write and flush. Every commit writes the
// same number to all of a writer's keys, so a reader of one state never sees
// two numbers.
func testReaders(t *testing.T, s Subject) {
	const writers, keys, commits = 2, 4, 200
	e := s.open(t)
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	for w := range writers {
		writing.Go(func() {
			for i := range commits {
				if err := writeRow(e, w, keys, i); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
		reading.Go(func() {
			for !done.Load() {
				if err := checkRow(e, w, keys); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		noError(t, e.Flush())
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
}

func rowKey(writer, key int) []byte {
	return fmt.Appendf(nil, "w%d/%d", writer, key)
}

func writeRow(e engine.Engine, writer, keys, number int) error {
	b := e.NewBatch()
	for k := range keys {
		if err := b.Set(rowKey(writer, k), fmt.Append(nil, number)); err != nil {
			return err
		}
	}
	return b.Commit()
}

func checkRow(e engine.Engine, writer, keys int) error {
	it, err := e.NewIter(rowKey(writer, 0), rowKey(writer, keys))
	if err != nil {
		return err
	}
	defer it.Close()
	found, first := 0, ""
	for ok := it.First(); ok; ok = it.Next() {
		if found == 0 {
			first = string(it.Value())
		}
		if string(it.Value()) != first {
			return fmt.Errorf("writer %d: %s and %s in one state", writer, first, it.Value())
		}
		found++
	}
	if found != 0 && found != keys {
		return fmt.Errorf("writer %d: %d keys of %d in one state", writer, found, keys)
	}
	return it.Error()
}
