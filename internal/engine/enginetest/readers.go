package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
)

// A row is a writer's keys. Every write gives all of them the same number, so
// a reader of one state never sees two numbers, nor a part of the keys.

// testReaders reads while others write and flush.
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

// testIngestBesideReaders replaces a row that lies in three spans, by small and
// large ingests, while it is read and another row is written.
func testIngestBesideReaders(t *testing.T, s Subject) {
	const keys, ingests = 6, 12
	e := s.open(t)
	var others sync.WaitGroup
	var done atomic.Bool
	others.Go(func() {
		for i := 0; !done.Load(); i++ {
			if err := errors.Join(writeRow(e, 2, keys, i), checkRow(e, 1, keys)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range ingests {
		if err := ingestRow(e, 1, keys, bytes.Repeat([]byte{byte(i)}, i%3*100<<10+1)); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	others.Wait()
}

// ingestRow writes a value to all keys of a row, two keys a span.
func ingestRow(e engine.Engine, writer, keys int, value []byte) error {
	var spans []engine.Span
	for k := 0; k < keys; k += 2 {
		spans = append(spans, engine.Span{Start: rowKey(writer, k), End: rowKey(writer, k+2)})
	}
	in, err := e.NewIngest(spans)
	if err != nil {
		return err
	}
	for k := range keys {
		if err := in.Add(rowKey(writer, k), value); err != nil {
			return errors.Join(err, in.Abort())
		}
	}
	return in.Commit()
}
