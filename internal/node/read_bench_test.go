package node

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// BenchmarkReads reads, on three nodes with four shards in one process, through
// all nodes in turn. cpu-µs/op is of the whole process: all nodes, and the
// client.
func BenchmarkReads(b *testing.B) {
	c := newClusterOf(b, 3, Cluster{
		Shards: 4, SplitAt: [][]byte{[]byte("b"), []byte("c"), []byte("d")},
	}, Config{Durability: DurabilityMemory})
	for i := range c.nodes {
		c.awaitReady(i)
	}
	const keys = 1000
	key := func(n int) []byte { return fmt.Appendf(nil, "%c%06d", 'a'+n%4, n%keys) }
	for n := range keys {
		req := kv.PutRequest{Key: key(n), Value: make([]byte, 256)}
		if _, err := kv.Put(b.Context(), c.nodes[0], req); err != nil {
			b.Fatal(err)
		}
	}
	for _, bench := range []struct {
		name string
		req  func(n int) kv.RangeRequest
	}{
		{"get", func(n int) kv.RangeRequest {
			return kv.RangeRequest{Range: kv.PointRange(key(n))}
		}},
		{"serializable_get", func(n int) kv.RangeRequest {
			return kv.RangeRequest{Range: kv.PointRange(key(n)), Serializable: true}
		}},
		{"range_of_100", func(n int) kv.RangeRequest {
			return kv.RangeRequest{Range: kv.PrefixRange(key(n)[:1]), Limit: 100}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuMicros()
			b.SetParallelism(32)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					if _, err := c.nodes[i%3].Range(b.Context(), bench.req(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(cpuMicros()-before)/float64(b.N), "cpu-µs/op")
		})
	}
}
