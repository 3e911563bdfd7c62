package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// BenchmarkPutBesideASweep puts keys, 8 at a time, on a node that has a hundred and
// fifty thousand versions to sweep, before that begins and while it is at it. Run it
// with -benchtime=20000x.
func BenchmarkPutBesideASweep(b *testing.B) {
	for _, sweeping := range []bool{false, true} {
		b.Run(fmt.Sprintf("sweeping=%v", sweeping), func(b *testing.B) {
			n := benchNode(b)
			for range 8 {
				putFromMany(b, n, 18_750)
			}
			st, err := n.Status(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			last := st.Revision
			if sweeping {
				if _, err := n.Compact(b.Context(), last); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			times := putFromMany(b, n, b.N)
			b.StopTimer()
			reportTimes(b, times)
			b.ReportMetric(float64(swept(n)), "swept")
		})
	}
}

func benchNode(b *testing.B) *Node {
	b.Helper()
	n, err := Start(Config{
		Name: "n1", Dir: b.TempDir(), Listen: "127.0.0.1:14001", Durability: DurabilityOS,
		Workers: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := n.Stop(b.Context()); err != nil {
			b.Error(err)
		}
	})
	if err := becomeReady(b.Context(), n); err != nil {
		b.Fatal(err)
	}
	return n
}

// putFromMany puts count values of 500 bytes from 8 goroutines, to 5000 keys. It
// returns how long each took.
func putFromMany(b *testing.B, n *Node, count int) []time.Duration {
	b.Helper()
	const putters = 8
	var wg sync.WaitGroup
	times := make([][]time.Duration, putters)
	for p := range putters {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(p), uint64(count)))
			value := make([]byte, 500)
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			for range count / putters {
				begun := time.Now()
				key := fmt.Appendf(nil, "key/%d", rng.IntN(5000))
				_, err := kv.Put(b.Context(), n, kv.PutRequest{Key: key, Value: value})
				if err != nil {
					b.Error(err)
					return
				}
				times[p] = append(times[p], time.Since(begun))
			}
		})
	}
	wg.Wait()
	return slices.Concat(times...)
}

func reportTimes(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	if len(times) == 0 {
		return
	}
	for _, at := range []struct {
		name string
		part float64
	}{{"p50-ms", 0.5}, {"p99-ms", 0.99}, {"p99.9-ms", 0.999}, {"max-ms", 1}} {
		i := min(int(at.part*float64(len(times))), len(times)-1)
		b.ReportMetric(float64(times[i].Microseconds())/1000, at.name)
	}
}

// swept is how many versions a node has swept.
func swept(n *Node) (versions int64) {
	for _, t := range n.threads.get() {
		t.call(func(_ wire.Instant, w *worker.Worker) {
			load := w.Load()
			for i := range load.Shards {
				versions += load.Shards[i].SweptVersions
			}
		})
	}
	return versions
}
