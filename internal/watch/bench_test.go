package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// bench is a hub of one shard with watches, each on a stream of its own, that are
// level at r1. Its requests are answered by hand.
type bench struct {
	hub  *Hub
	now  wire.Instant
	feed *wire.Request
	rev  kv.Revision
	took map[StreamID]int
}

func newBench(b *testing.B, watches int, keys func(i int) kv.Range) *bench {
	layout := placement.Layout{Nodes: []kv.NodeID{1}, Replicas: 1, Shards: 1}
	m, err := layout.Build()
	if err != nil {
		b.Fatal(err)
	}
	e := &bench{now: wire.Instant(time.Hour), rev: 1, took: map[StreamID]int{}}
	e.hub = New(Config{Node: 1, Map: m, Limits: kv.DefaultLimits, Bounds: DefaultBounds()})
	for i := range watches {
		id := StreamID(i + 1)
		e.hub.Open(id)
		e.hub.Add(e.now, id, 1, kv.WatchRequest{Range: keys(i)})
	}
	e.pass()
	return e
}

// pass answers the oracle, and remembers the feed that waits.
func (e *bench) pass() []Delivery {
	var all []Delivery
	for {
		eff := e.hub.Pass(e.now)
		all = append(all, eff.Deliveries...)
		if len(eff.Sends) == 0 {
			return all
		}
		for _, s := range eff.Sends {
			if s.Request.Feed != nil {
				e.feed = s.Request
				continue
			}
			e.hub.Receive(e.now, 1, &wire.Response{
				ID: s.Request.ID, Oracle: &wire.OracleResponse{Base: e.rev + 1},
			})
		}
	}
}

func (e *bench) event(key []byte) []Delivery {
	e.rev++
	var fed wire.FedEvent
	fed.KV = kv.KeyValue{Key: key, Value: make([]byte, 100), ModRevision: e.rev, Version: 2}
	e.hub.Receive(e.now, 1, &wire.Response{
		ID: e.feed.ID, Fed: &wire.Fed{UpTo: e.rev, Events: []wire.FedEvent{fed}},
	})
	return e.pass()
}

// BenchmarkFanOut tells one event to many: they share it.
func BenchmarkFanOut(b *testing.B) {
	for _, watches := range []int{1, 1000} {
		b.Run(fmt.Sprint(watches), func(b *testing.B) {
			e := newBench(b, watches, func(int) kv.Range { return kv.PrefixRange([]byte("k")) })
			b.ReportAllocs()
			for b.Loop() {
				list := e.event([]byte("key"))
				if len(list) != watches {
					b.Fatalf("%d deliveries", len(list))
				}
				for _, d := range list {
					e.hub.Consumed(e.now, d.Stream, d.Bytes)
				}
			}
		})
	}
}

// BenchmarkIdle is the cost of a tick, and of an event that concerns nobody, with
// this many watches around.
func BenchmarkIdle(b *testing.B) {
	keys := func(i int) kv.Range { return kv.PointRange(fmt.Appendf(nil, "key%06d", i)) }
	for _, watches := range []int{1, 10_000} {
		e := newBench(b, watches, keys)
		b.Run(fmt.Sprintf("tick/%d", watches), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.hub.Tick(e.now)
				e.pass()
			}
		})
		b.Run(fmt.Sprintf("event/%d", watches), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.event([]byte("key005000-no"))
			}
		})
	}
}
