package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
)

const (
	benchKeys     = 100_000
	benchVersions = 5
)

func benchPrefix(i int) []byte {
	return append(fmt.Appendf([]byte{versionSpace}, "user/%09d", i), terminator...)
}

func benchKey(i int, revision uint64) []byte {
	return binary.BigEndian.AppendUint64(benchPrefix(i), ^revision)
}

// benchEngine holds benchVersions versions of every even key, flushed and
// compacted.
func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := Open("bench", Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	for v := range benchVersions {
		batch := e.NewBatch()
		for i := range benchKeys {
			key := benchKey(2*i, uint64(v*benchKeys+i))
			if err := batch.Set(key, make([]byte, 100)); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(batch.Commit(), e.Flush()); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

func BenchmarkSeekPrefix(b *testing.B) {
	e := benchEngine(b)
	for _, c := range []struct {
		name string
		odd  int
		want error
	}{
		{"hit", 0, nil},
		{"miss", 1, engine.ErrNotFound},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			seeks := make([][]byte, 4096)
			for i := range seeks {
				seeks[i] = benchKey(2*rng.IntN(benchKeys)+c.odd, 1<<40)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				seek := seeks[i%len(seeks)]
				prefix := seek[:len(seek)-revisionBytes]
				if _, _, err := e.SeekPrefix(prefix, seek); err != c.want {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e := benchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		i := rng.IntN(benchKeys)
		if _, err := e.Get(benchKey(2*i, uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan100(b *testing.B) {
	e := benchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		it, err := e.NewIter(benchPrefix(rng.IntN(benchKeys)), nil)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok && n < 100; ok = it.Next() {
			n += len(it.Value()) / 100
		}
		if err := it.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	e, err := Open("bench", Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	value := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch := e.NewBatch()
		err := batch.Set(benchKey(i, uint64(i)), value)
		if err := errors.Join(err, batch.Commit()); err != nil {
			b.Fatal(err)
		}
	}
}
