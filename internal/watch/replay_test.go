package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// What a group remembers is told to those who join it. They may read it long
// after the group has forgotten it.
func TestReplayOutlivesRecent(t *testing.T) {
	layout := placement.Layout{Shards: 1, Replicas: 1, Nodes: []kv.NodeID{1}}
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	b := DefaultBounds()
	b.RecentBytesMax = 10 * (eventBytes + 3)
	now := wire.Instant(time.Hour)
	h := New(Config{Node: 1, Map: m, Limits: kv.DefaultLimits, Bounds: b})
	h.Open(1)
	h.Add(now, 1, 1, kv.WatchRequest{})
	sends := h.Pass(now).Sends
	answer := func(resp wire.Response) Effects {
		resp.ID = sends[len(sends)-1].Request.ID
		h.Receive(now, 1, &resp)
		eff := h.Pass(now)
		sends = append(sends, eff.Sends...)
		return eff
	}
	answer(wire.Response{Oracle: &wire.OracleResponse{Base: 101}})
	write := func(rev kv.Revision) {
		fed := &wire.Fed{UpTo: rev, Events: make([]wire.FedEvent, 1)}
		fed.Events[0].KV = kv.KeyValue{Key: fmt.Append(nil, int64(rev)), ModRevision: rev}
		answer(wire.Response{Fed: fed})
	}
	for rev := kv.Revision(101); rev <= 120; rev++ {
		write(rev)
	}
	feed := sends[len(sends)-1]

	h.Add(now, 1, 2, kv.WatchRequest{From: 116})
	sends = append(sends, h.Pass(now).Sends...)
	eff := answer(wire.Response{Oracle: &wire.OracleResponse{Base: 116}})
	if len(eff.Deliveries) != 1 || len(eff.Deliveries[0].Response.Events) != 5 {
		t.Fatalf("the second watch is told %+v, not of 5 events", eff.Deliveries)
	}
	sends = append(sends, feed)
	for rev := kv.Revision(121); rev <= 140; rev++ {
		write(rev)
	}
	for i, e := range eff.Deliveries[0].Response.Events {
		want := kv.Revision(116 + i)
		if e.KV.ModRevision != want || string(e.KV.Key) != fmt.Sprint(int64(want)) {
			t.Errorf("event %d has become %+v", i, e)
		}
	}
}
