package node

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// BenchmarkWrites compares, on three nodes with four shards in one process, a
// put with a transaction on one shard (compare, put, read) and with one on two.
// cpu-µs/op is of the whole process: all nodes, and the client.
func BenchmarkWrites(b *testing.B) {
	c := newClusterOf(b, 3, Cluster{
		Shards: 4, SplitAt: [][]byte{[]byte("b"), []byte("c"), []byte("d")},
	}, Config{Durability: DurabilityMemory})
	for i := range c.nodes {
		c.awaitReady(i)
	}
	put := func(key []byte) kv.Op {
		return kv.Op{Put: &kv.PutRequest{Key: key, Value: make([]byte, 100)}}
	}
	for _, bench := range []struct {
		name string
		txn  func(n int) kv.TxnRequest
	}{
		{"put", func(n int) kv.TxnRequest {
			return kv.TxnRequest{Success: []kv.Op{put(fmt.Appendf(nil, "a%d", n))}}
		}},
		{"txn_one_shard", func(n int) kv.TxnRequest {
			key := fmt.Appendf(nil, "a%d", n)
			return kv.TxnRequest{
				Compares: []kv.Compare{{Key: key, Relation: kv.Greater, Number: -1}},
				Success: []kv.Op{
					put(key), {Range: &kv.RangeRequest{Range: kv.PointRange(key)}},
				},
			}
		}},
		{"txn_two_shards", func(n int) kv.TxnRequest {
			return kv.TxnRequest{Success: []kv.Op{
				put(fmt.Appendf(nil, "a%d", n)), put(fmt.Appendf(nil, "b%d", n)),
			}}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuMicros()
			b.SetParallelism(32)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req := bench.txn(int(n.Add(1) % 10_000))
					if _, err := c.nodes[0].Txn(b.Context(), req); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(cpuMicros()-before)/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuMicros() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}
