package worker

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// routes is what a worker believes about who leads what, and the map of
// shards that it goes by.
type routes struct {
	leaders map[kv.ShardID]kv.NodeID
	// mapAsked is the request for a fresh map under way, 0 for none, since
	// mapSince.
	mapAsked uint64
	mapSince wire.Instant
}

func (t *routes) learn(shard kv.ShardID, leader kv.NodeID) {
	if leader == 0 {
		delete(t.leaders, shard)
		return
	}
	t.leaders[shard] = leader
}

func (t *routes) forget(shard kv.ShardID) { delete(t.leaders, shard) }

// leaderOf is the node to ask for a shard: its leader if one is known, else
// the shard's nodes in turn, this node first.
func (w *Worker) leaderOf(shard kv.ShardID, try int) kv.NodeID {
	if r, ok := w.replicas[shard]; ok {
		if leader := r.Leader(); leader != 0 {
			return leader
		}
	}
	if leader, ok := w.routes.leaders[shard]; ok {
		return leader
	}
	nodes := w.nodesOf(shard)
	if i := slices.Index(nodes, w.cfg.Node); i >= 0 {
		try += i
	}
	return nodes[try%len(nodes)]
}

func (w *Worker) nodesOf(shard kv.ShardID) []kv.NodeID {
	if s := w.shards.Shard(shard); s != nil {
		return s.Nodes
	}
	return w.shards.System.Nodes
}

// mapResponse is the shard map as the system shard holds it.
func (w *Worker) mapResponse() wire.Response {
	m, err := placement.LoadMap(w.cfg.Engine)
	if err != nil {
		return wire.Response{Code: wire.CodeOf(err), Text: err.Error()}
	}
	return wire.Response{UpkeepResponse: wire.UpkeepResponse{
		Map: &wire.MapResponse{Data: m.Encode()},
	}}
}

// refreshMap asks for a fresh map, because a shard said that a key is not its.
func (w *Worker) refreshMap(now wire.Instant) {
	if w.routes.mapAsked != 0 && now < w.routes.mapSince+legTimeout {
		return
	}
	id := w.nextID()
	w.routes.mapAsked, w.routes.mapSince = id, now
	req := wire.Request{
		ID: id, Shard: kv.SystemShard, Upkeep: wire.Upkeep{Map: &wire.MapRequest{}},
	}
	w.send(w.leaderOf(kv.SystemShard, int(id)), wire.Message{Request: &req})
}

// receiveMap takes a fresh map.
func (w *Worker) receiveMap(resp *wire.Response) {
	w.routes.mapAsked = 0
	if resp.Map == nil {
		return
	}
	m, err := placement.DecodeMap(resp.Map.Data)
	if err != nil {
		w.log.Warn("shard map not taken", "error", err)
		return
	}
	w.shards = m
}
