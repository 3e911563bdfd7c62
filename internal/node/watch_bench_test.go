package node

import (
	"fmt"
	"sync"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// BenchmarkPutsWatched puts keys over eight shards of three nodes, with nobody
// watching, with one watch of everything, and with 10,000 of which each is told
// nothing.
func BenchmarkPutsWatched(b *testing.B) {
	for _, watches := range []int{0, 1, 10_000} {
		b.Run(fmt.Sprint(watches), func(b *testing.B) {
			c := newClusterOf(b, 3, eightShards(), Config{Durability: DurabilityMemory})
			for i := range c.nodes {
				c.awaitReady(i)
			}
			var adding sync.WaitGroup
			for i := range min(watches, 100) {
				s, err := c.nodes[0].Watch(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				adding.Go(func() {
					for j := range max(1, watches/100) {
						req := kv.WatchRequest{}
						if watches > 1 {
							req.Range = kv.PointRange(fmt.Appendf(nil, "%cx%d.%d", 'a'+j%8, i, j))
						}
						if _, err := s.Add(req); err != nil {
							b.Error(err)
						}
					}
					go func() {
						for err := error(nil); err == nil; _, err = s.Next(b.Context()) {
						}
					}()
				})
			}
			adding.Wait()
			b.ReportAllocs()
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					_, err := kv.Put(b.Context(), c.nodes[i%3], kv.PutRequest{
						Key: fmt.Appendf(nil, "%c%d", 'a'+i%8, i%1000), Value: make([]byte, 100),
					})
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkWatchLatency is the time from the begin of a put until a watch over one
// shard, or all eight, is told of it.
func BenchmarkWatchLatency(b *testing.B) {
	for name, keys := range map[string]kv.Range{
		"one_shard": {Start: []byte("c"), End: []byte("d")}, "all_shards": {},
	} {
		b.Run(name, func(b *testing.B) {
			c := newClusterOf(b, 3, eightShards(), Config{Durability: DurabilityMemory})
			for i := range c.nodes {
				c.awaitReady(i)
			}
			s, err := c.nodes[0].Watch(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Add(kv.WatchRequest{Range: keys}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.put(1, "c", "1")
				c.next(s)
			}
		})
	}
}
