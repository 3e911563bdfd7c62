package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/member"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

var _ kv.Store = (*Node)(nil)

// Range implements kv.Store.
func (n *Node) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	if err := n.cfg.Limits.CheckRange(&req); err != nil {
		return kv.RangeResponse{}, err
	}
	if req.Serializable && req.Revision == 0 {
		return n.readLocal(ctx, req)
	}
	r, err := n.do(ctx, req.Start, worker.Request{Range: &req})
	if err != nil {
		return kv.RangeResponse{}, err
	}
	return *r.Range, nil
}

// Txn implements kv.Store.
func (n *Node) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	if err := n.cfg.Limits.CheckTxn(&req); err != nil {
		return kv.TxnResponse{}, err
	}
	if err := n.checkRoom(); err != nil && req.Puts() {
		return kv.TxnResponse{}, err
	}
	r, err := n.do(ctx, firstKey(&req), worker.Request{Txn: &req})
	if err != nil {
		return kv.TxnResponse{}, err
	}
	n.wroteBy(r.Txn)
	return *r.Txn, nil
}

// firstKey is a key of req, to choose the thread by.
func firstKey(req *kv.TxnRequest) []byte {
	if len(req.Compares) > 0 {
		return req.Compares[0].Key
	}
	if len(req.Success) == 0 {
		return nil
	}
	switch op := req.Success[0]; {
	case op.Put != nil:
		return op.Put.Key
	case op.Range != nil:
		return op.Range.Start
	case op.Delete != nil:
		return op.Delete.Start
	}
	return nil
}

// do has a request carried out by the thread that serves key here.
func (n *Node) do(ctx context.Context, key []byte, req worker.Request) (worker.Reply, error) {
	return n.doAt(ctx, n.shards.Locate(key).ID, req)
}

// doAt has a request carried out by the thread that serves a shard here, unless more
// than the shard can do is under way already.
func (n *Node) doAt(
	ctx context.Context, shard kv.ShardID, req worker.Request,
) (worker.Reply, error) {
	visit := n.entrances.visit(shard, &req)
	switch {
	case visit.room == nil:
	case kv.GoesOn(ctx):
		visit.room.Reenter(visit.bytes)
	case !visit.room.Enter(visit.bytes):
		return worker.Reply{}, tooMany(shard, visit.room)
	}
	return n.carryOut(ctx, shard, req, visit)
}

// carryOut has a request carried out by the thread that serves a shard here. It sees to
// it that the visit ends.
func (n *Node) carryOut(
	ctx context.Context, shard kv.ShardID, req worker.Request, visit visit,
) (worker.Reply, error) {
	threads, err := n.threads.get(), ctx.Err()
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", kv.ErrTimeout, err)
	case len(threads) == 0:
		err = fmt.Errorf("%w: %s", kv.ErrNotReady, n.waitingFor())
	}
	if err != nil {
		visit.leave(&worker.Reply{}, err)
		return worker.Reply{}, err
	}
	timeout := n.cfg.RequestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	// The worker knows why a request can't be answered, and the caller's clock
	// does not: so the worker's time is up first, by more than the tick that it
	// takes to notice.
	margin := min(max(timeout/20, 2*tickInterval), timeout/2)
	req.Deadline = n.cfg.lab.clock() + wire.Instant(timeout-margin)
	t := threads[worker.Place{Count: len(threads)}.Of(shard)]
	r, err := t.do(ctx, req, visit)
	switch {
	case err == nil:
		return r, r.Err
	case errors.Is(err, kv.ErrStopped):
		return r, err
	case req.Txn != nil || req.Compact != nil || req.Lease.Once() || req.Alarm.Once():
		return r, fmt.Errorf("%w: %w", kv.ErrUncertain, err)
	}
	return r, fmt.Errorf("%w: %w", kv.ErrTimeout, err)
}

// Status implements kv.Store.
func (n *Node) Status(ctx context.Context) (kv.Status, error) {
	st := kv.Status{
		Cluster: n.dir.desc.Cluster, Node: n.membership.self.ID, Name: n.cfg.Name,
		Version: n.cfg.Version, Storage: n.space.storage(), Alarms: slices.Clone(n.alarms()),
	}
	for _, t := range n.threads.get() {
		ok := t.call(func(_ wire.Instant, w *worker.Worker) {
			st.Shards = append(st.Shards, w.Status()...)
			st.Revision = max(st.Revision, w.Observed())
		})
		if !ok {
			return st, kv.ErrStopped
		}
	}
	slices.SortFunc(st.Shards, func(a, b kv.ShardStatus) int { return int(a.ID) - int(b.ID) })
	for _, s := range st.Shards {
		st.Revision = max(st.Revision, s.Revision)
	}
	st.Nodes = n.nodeStatus()
	st.Waiting = n.notReady(st.Shards)
	st.Ready = st.Waiting == ""
	return st, ctx.Err()
}

func (n *Node) nodeStatus() []kv.NodeStatus {
	n.membership.mu.Lock()
	defer n.membership.mu.Unlock()
	var list []kv.NodeStatus
	for _, node := range n.cfg.Cluster.nodes() {
		st := kv.NodeStatus{ID: node.ID, Name: node.Name, Peer: node.Peer}
		if node.ID == n.membership.self.ID {
			st.Client, st.Connected = n.cfg.AdvertiseClient, true
		} else {
			var peer member.Peer = n.membership.member.Peers()[node.ID]
			st.Client, st.Connected = peer.Node.Client, n.transport.Connected(node.ID)
			st.Via = n.transport.Via(node.ID)
		}
		list = append(list, st)
	}
	return list
}

// notReady says what the node waits for, "" if it serves.
func (n *Node) notReady(shards []kv.ShardStatus) string {
	if n.threads.get() == nil {
		return n.waitingFor()
	}
	var leaderless []string
	for _, s := range shards {
		if s.Leader == 0 {
			leaderless = append(leaderless, s.ID.String())
		}
	}
	if len(leaderless) > 0 {
		return "leaders of shards " + strings.Join(leaderless, ", ")
	}
	return ""
}

// waitingFor says what a node without a role waits for.
func (n *Node) waitingFor() string {
	n.membership.mu.Lock()
	defer n.membership.mu.Unlock()
	var names []string
	for _, id := range n.membership.member.Waiting() {
		for _, node := range n.cfg.Cluster.nodes() {
			if node.ID == id {
				names = append(names, node.Name)
			}
		}
	}
	if len(names) == 0 {
		return "its replicas to open"
	}
	return "a first word from " + strings.Join(names, ", ") +
		" (a new data directory needs it once)"
}

// recentBytesMax is what all replicas of a node keep of newest versions together.
const recentBytesMax = 64 << 20

// workerConfig is what the index'th of count workers gets.
func (n *Node) workerConfig(index, count int, id member.Identity) worker.Config {
	timing := replica.DefaultTiming()
	timing.RequestTimeout = n.cfg.RequestTimeout
	timing.KeepOutcomes = max(timing.KeepOutcomes, 10*timing.RequestTimeout)
	timing.ElectionTicks = cmp.Or(n.cfg.lab.electionTicks, timing.ElectionTicks)
	bounds := n.cfg.lab.bounds
	bounds.LogKeepBytes = min(bounds.LogKeepBytes, n.partBytes())
	bounds.RecentBytesMax = recentBytesMax / max(1, len(n.held(n.membership.self.ID)))
	return worker.Config{
		Place: worker.Place{Index: index, Count: count}, Node: n.membership.self.ID,
		Incarnation: id.ReplicaIncarnation(), Engine: n.engine, Log: n.raftlog, Map: n.shards,
		Timing: timing, Bounds: bounds, ReadMode: n.cfg.ReadMode,
		AutoCompaction: n.cfg.AutoCompaction,
		Restarted:      n.membership.restarted, Mutant: n.cfg.lab.mutant, Logger: n.log,
	}
}
