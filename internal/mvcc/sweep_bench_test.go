package mvcc

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/pebble"
	"github.com/miruvor/miruvor/internal/kv"
)

// BenchmarkSweep sweeps a thousand versions out of stores of different sizes: what
// it costs goes by the garbage. An operation is one entry of the history.
func BenchmarkSweep(b *testing.B) {
	const garbage = 1000
	for _, live := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			e, err := pebble.Open("bench", pebble.Options{FS: vfs.NewMem()})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { e.Close() })
			last := kv.FirstRevision
			write := func(from, count int) {
				for i := range count {
					last++
					benchApply(b, e, last, from+i)
				}
			}
			write(0, live)
			swept := sweepAll(b, e, Place{}, last)
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += garbage {
				b.StopTimer()
				write(done%live, garbage)
				b.StartTimer()
				swept = sweepAll(b, e, swept, last)
			}
		})
	}
}

func benchApply(b *testing.B, e engine.Engine, rev kv.Revision, key int) {
	batch := e.NewBatch()
	err := Apply(batch, nil, testShard, rev, []Write{{
		Key: fmt.Appendf(nil, "key/%09d", key), Value: make([]byte, 200), Create: 1, Version: 2,
	}})
	if err == nil {
		err = batch.Commit()
	}
	if err != nil {
		b.Fatal(err)
	}
}

// sweepAll sweeps in parts of the size that replicas choose.
func sweepAll(b *testing.B, e engine.Engine, from Place, floor kv.Revision) Place {
	since := from.Revision
	for {
		batch := e.NewBatch()
		part, err := Sweep(e, batch, testShard, SweepPart{
			From: from, Floor: floor, Since: since, EntriesMax: 64,
		})
		if err == nil {
			err = batch.Commit()
		}
		if err != nil {
			b.Fatal(err)
		}
		if from = part.Next; part.Done {
			return from
		}
	}
}
