package watch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// A group knows nothing of a watch's keys before it included them, though it is ahead of
// the watch: who comes from the past joins it only when it is level.
func TestIncludedKeysHaveNoPast(t *testing.T) {
	layout := placement.Layout{Shards: 1, Replicas: 1, Nodes: []kv.NodeID{1}}
	m, err := layout.Build()
	if err != nil {
		t.Fatal(err)
	}
	const last kv.Revision = 110
	now := wire.Instant(time.Hour)
	h := New(Config{Node: 1, Map: m, Limits: kv.DefaultLimits, Bounds: DefaultBounds()})
	h.Open(1)
	var told []kv.Revision
	// serve answers all requests, those for events with three revisions at a time. The
	// odd ones wrote b, the others a.
	serve := func(base kv.Revision) {
		for sends := h.Pass(now).Sends; len(sends) > 0; {
			req := sends[0].Request
			sends = sends[1:]
			resp := wire.Response{ID: req.ID}
			switch {
			case req.Oracle != nil:
				resp.Oracle = &wire.OracleResponse{Base: base}
			case req.Feed.After == last:
				continue // it waits for more
			default:
				resp.Fed = threeRevisions(req.Feed, last)
			}
			h.Receive(now, 1, &resp)
			eff := h.Pass(now)
			sends = append(sends, eff.Sends...)
			for _, d := range eff.Deliveries {
				if d.Response.ID == 2 {
					told = append(told, revisionsOf(d.Response.Events)...)
				}
			}
		}
	}
	h.Add(now, 1, 1, kv.WatchRequest{Range: kv.PointRange([]byte("a"))})
	serve(101)
	h.Add(now, 1, 2, kv.WatchRequest{Range: kv.PointRange([]byte("b")), From: 106})
	serve(109)
	if want := []kv.Revision{107, 109}; !slices.Equal(told, want) {
		t.Errorf("the watch of b is told of %v, not of %v", told, want)
	}
}

// threeRevisions answers a feed, up to last at most.
func threeRevisions(req *wire.Feed, last kv.Revision) *wire.Fed {
	fed := &wire.Fed{UpTo: min(req.After+3, last)}
	for rev := req.After + 1; rev <= fed.UpTo; rev++ {
		var e wire.FedEvent
		e.KV = kv.KeyValue{Key: fmt.Appendf(nil, "%c", 'a'+rev%2), ModRevision: rev}
		if req.Keys.Contains(e.KV.Key) {
			fed.Events = append(fed.Events, e)
		}
	}
	return fed
}

func revisionsOf(events []kv.Event) (list []kv.Revision) {
	for _, e := range events {
		list = append(list, e.KV.ModRevision)
	}
	return list
}
