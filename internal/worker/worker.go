package worker

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// Worker is one thread of a node. See the package documentation.
type Worker struct {
	cfg      Config
	log      *slog.Logger
	replicas map[kv.ShardID]*replica.Replica
	// order are the shards of replicas, ascending: all loops follow it, so
	// that a simulated run can be repeated.
	order    []kv.ShardID
	shards   placement.Map
	peers    map[kv.NodeID]kv.Incarnation
	routes   routes
	calls    calls
	demands  demands
	office   office
	out      replica.Output
	effects  Effects
	observed kv.Revision
	turns    turns
	// told is when a shard's leader was last told that the replica it
	// replicates to is not here.
	told map[kv.ShardID]wire.Instant
}

// Open revives the replicas that the engine holds for this worker. It saves
// what their logs need to begin with before it returns.
func Open(cfg Config, now wire.Instant) (*Worker, error) {
	w := &Worker{
		cfg: cfg, log: cfg.Logger.With("worker", cfg.Place.Index),
		replicas: map[kv.ShardID]*replica.Replica{},
		shards:   cfg.Map, peers: map[kv.NodeID]kv.Incarnation{},
		told: map[kv.ShardID]wire.Instant{},
	}
	w.calls.asks.open = map[uint64]*asking{}
	w.office.oracle.Window = cfg.OracleWindow
	w.routes.leaders = map[kv.ShardID]kv.NodeID{}
	w.calls.open, w.calls.seq = map[uint64]*leg{}, firstID(now)
	shards, err := storedShards(cfg)
	if err != nil {
		return nil, err
	}
	var records []raftlog.Record
	for _, shard := range shards {
		rec, err := replica.Recover(w.replicaConfig(shard))
		if err != nil {
			return nil, err
		}
		if rec != nil {
			records = append(records, *rec)
		}
	}
	if len(records) > 0 {
		if err := errors.Join(cfg.Log.Append(records), cfg.Log.Sync()); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	for _, shard := range shards {
		r, err := replica.Open(w.replicaConfig(shard), now)
		if err != nil {
			return nil, err
		}
		w.add(r)
	}
	return w, nil
}

// storedShards are those of this worker that the engine holds a replica of.
func storedShards(cfg Config) ([]kv.ShardID, error) {
	var list []kv.ShardID
	all := append([]placement.Shard{cfg.Map.System}, cfg.Map.Shards...)
	for _, s := range all {
		if cfg.Place.Of(s.ID) != cfg.Place.Index {
			continue
		}
		held, err := replica.Held(cfg.Engine, s.ID, cfg.Node, cfg.Incarnation)
		if err != nil {
			return nil, err
		}
		if held {
			list = append(list, s.ID)
		}
	}
	return list, nil
}

func (w *Worker) replicaConfig(shard kv.ShardID) replica.Config {
	return replica.Config{
		Shard: shard, Node: w.cfg.Node, Incarnation: w.cfg.Incarnation,
		Engine: w.cfg.Engine, Log: w.cfg.Log.Group(shard), Timing: w.cfg.Timing,
		Bounds: w.cfg.Bounds, ReadMode: w.cfg.ReadMode, Restarted: w.cfg.Restarted,
		Alone: w.shards.Oracle() == shard && shard != kv.SystemShard, Mutant: w.cfg.Mutant,
		Logger: w.cfg.Logger,
	}
}

// add takes a replica up.
func (w *Worker) add(r *replica.Replica) {
	w.replicas[r.Shard()] = r
	i := 0
	for i < len(w.order) && w.order[i] < r.Shard() {
		i++
	}
	w.order = append(w.order[:i:i], append([]kv.ShardID{r.Shard()}, w.order[i:]...)...)
	for node, inc := range w.peers {
		r.SetPeer(node, inc)
	}
	r.Hold(w.demands.held, &w.out)
}

// Tick tells that one tick has passed.
func (w *Worker) Tick(now wire.Instant) {
	for _, shard := range w.order {
		w.replicas[shard].Tick(now, &w.out)
	}
	w.tickOracle(now)
	w.moveOracle(now)
	w.tickCompaction(now)
	w.tickLessor(now)
	w.tickOutlook(now)
	w.turns.sweepsLeft = sweepsPerTick
	w.closeShards(now)
	w.tickCalls(now)
	w.tickAsks(now)
}

// Campaign makes the replicas that should lead stand for election at once.
func (w *Worker) Campaign() {
	for _, shard := range w.order {
		r := w.replicas[shard]
		if r.Descriptor().Preferred == w.cfg.Node {
			r.Campaign()
		}
	}
}

// Hold has the writes of the leaders here wait, or go on: see Replica.Hold.
func (w *Worker) Hold(held bool) {
	w.demands.held = held
	for _, shard := range w.order {
		w.replicas[shard].Hold(held, &w.out)
	}
}

// SetPeer tells the incarnation that another node's replicas carry.
func (w *Worker) SetPeer(node kv.NodeID, inc kv.Incarnation) {
	if old, ok := w.peers[node]; ok && old == inc {
		return
	}
	w.peers[node] = inc
	for _, shard := range w.order {
		w.replicas[shard].SetPeer(node, inc)
	}
}

// Observe tells a revision that the oracle has handed out.
func (w *Worker) Observe(now wire.Instant, last kv.Revision) {
	if last <= w.observed {
		return
	}
	w.observed = last
	w.closeShards(now)
}

// closeShards has the leaders here close what is known to have been handed
// out. What one can't close now, because it has a write in flight or is not sure of
// its lease, it can later, also if nothing is handed out any more.
func (w *Worker) closeShards(now wire.Instant) {
	for _, shard := range w.order {
		w.replicas[shard].Observe(now, w.observed)
	}
}

// Receive takes a message of another node, or of another worker of this one.
func (w *Worker) Receive(now wire.Instant, from kv.NodeID, m wire.Message) {
	switch {
	case m.Raft != nil:
		w.receiveRaft(now, from, m.Raft)
	case m.Request != nil:
		w.serve(now, replica.Origin{Node: from, ID: m.Request.ID}, m.Request)
	case m.Response != nil:
		w.receiveResponse(now, from, m.Response)
	}
}

func (w *Worker) receiveRaft(now wire.Instant, from kv.NodeID, m *wire.Raft) {
	r, ok := w.replicas[m.Shard]
	if !ok {
		w.missing(now, from, m)
		return
	}
	if kv.ReplicaID(m.Msg.GetTo()) != r.ID() {
		return // meant for a replica that this node had once
	}
	r.Receive(now, from, m)
	if m.Allocated > 0 {
		w.Observe(now, m.Allocated)
		w.effects.Observed = max(w.effects.Observed, m.Allocated)
	}
}

// serve carries out what another asks of a shard here.
func (w *Worker) serve(now wire.Instant, from replica.Origin, req *wire.Request) {
	r, ok := w.replicas[req.Shard]
	switch {
	case !ok:
		w.respond(from, wire.Response{Code: wire.CodeNotLeader})
	case req.Oracle != nil && req.Shard == kv.SystemShard:
		w.serveOracle(now, from, req.Oracle.Count)
	case req.Oracle != nil:
		w.serveLast(now, from, r)
	case req.Map != nil:
		w.respond(from, w.mapResponse())
	case req.Compact != nil && req.Shard == kv.SystemShard:
		w.serveCompact(now, from, req.Compact.Revision)
	case req.Lease != nil && req.Shard == kv.SystemShard:
		w.serveLease(now, from, req.Lease)
	default:
		r.Submit(now, from, req, &w.out)
	}
}

func (w *Worker) respond(to replica.Origin, resp wire.Response) {
	resp.ID = to.ID
	w.out.Answers = append(w.out.Answers, replica.Answer{Node: to.Node, Response: resp})
}

// Saved tells that the oldest save of a replica is on stable storage.
func (w *Worker) Saved(now wire.Instant, r *replica.Replica) { r.Saved(now, &w.out) }

// Unreachable tells that messages to a node are lost, and perhaps its answers.
func (w *Worker) Unreachable(now wire.Instant, node kv.NodeID) {
	for _, shard := range w.order {
		w.replicas[shard].Unreachable(node)
	}
	w.lostNode(now, node)
}

// Replica is the replica of a shard here, nil if there is none. It is for
// looking at, between passes.
func (w *Worker) Replica(shard kv.ShardID) *replica.Replica { return w.replicas[shard] }

// Status describes the replicas here, in the order of their shards.
func (w *Worker) Status() []kv.ShardStatus {
	list := make([]kv.ShardStatus, 0, len(w.order))
	for _, shard := range w.order {
		list = append(list, w.replicas[shard].Status())
	}
	return list
}

// Truncate forgets log entries that the engine holds durably.
func (w *Worker) Truncate() error {
	for _, shard := range w.order {
		data, err := w.cfg.Engine.DurableGet(keyspace.MetaKey(nil, shard, keyspace.KindApplied))
		if err != nil {
			continue // not flushed even once
		}
		applied, err := keyspace.ParseApplied(data)
		if err != nil {
			return fmt.Errorf("shard %v: %w", shard, err)
		}
		w.replicas[shard].Truncate(applied.Index)
	}
	return nil
}

// Handover offers all leaderships to other nodes. It reports whether any
// is still here that another node could take.
func (w *Worker) Handover(now wire.Instant) bool {
	left := false
	for _, shard := range w.order {
		if shard == kv.SystemShard && !w.releaseOracle(now) {
			left = true
			continue // first the exact mark has to be in the log
		}
		left = w.replicas[shard].Handover(now) || left
	}
	return left
}

// Prefer has the leaders here hand over to another node for good, those that it
// votes with, and gives up at a moment. The error tells what is in the way of
// the system shard, if that is this worker's.
func (w *Worker) Prefer(to kv.NodeID, until wire.Instant) error {
	var err error
	for _, shard := range w.order {
		if refused := w.replicas[shard].Prefer(to, until); shard == kv.SystemShard {
			err = refused
		}
	}
	return err
}

// Observed is the highest revision that is known to have been handed out.
func (w *Worker) Observed() kv.Revision { return w.observed }
