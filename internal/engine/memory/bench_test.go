package memory

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

func benchKey(i uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("key"), i)
}

// BenchmarkCommit commits one pair at a time, as a simulated node does, with
// and without a reader that freezes the state before each commit.
func BenchmarkCommit(b *testing.B) {
	for _, readers := range []bool{false, true} {
		name := "alone"
		if readers {
			name = "frozen"
		}
		b.Run(name, func(b *testing.B) {
			e := New()
			rng := rand.New(rand.NewPCG(1, 1))
			value := make([]byte, 20)
			b.ReportAllocs()
			for b.Loop() {
				if readers {
					e.freeze()
				}
				batch := e.NewBatch()
				err := batch.Set(benchKey(rng.Uint64N(10_000)), value)
				if err := errors.Join(err, batch.Commit()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCrash crashes an engine with 1000 commits in flight.
func BenchmarkCrash(b *testing.B) {
	e := New()
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range uint64(1000) {
		batch := e.NewBatch()
		if err := errors.Join(batch.Set(benchKey(i), benchKey(i)), batch.Commit()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Crash(rng)
	}
}
