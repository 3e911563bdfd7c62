package etcdapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

// watchSplits parts the keys a to h among eight shards.
func watchSplits() node.Cluster {
	cluster := node.Cluster{Shards: 8}
	for _, c := range "bcdefgh" {
		cluster.SplitAt = append(cluster.SplitAt, []byte(string(c)))
	}
	return cluster
}

// running is a node that stops with its test, or before.
type running struct {
	*node.Node
	stop func()
}

// startNodes starts a cluster of so many nodes.
func startNodes(t *testing.T, cluster node.Cluster, size int) []running {
	t.Helper()
	var free []net.Listener
	for i := range size {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free = append(free, l)
		m := node.Member{Name: fmt.Sprint("n", i), Peer: l.Addr().String()}
		cluster.Members = append(cluster.Members, m)
	}
	for _, l := range free {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var nodes []running
	for _, m := range cluster.Members {
		n, err := node.Start(node.Config{
			Name: m.Name, Listen: m.Peer, Cluster: cluster, Durability: node.DurabilityMemory,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := sync.OnceFunc(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := n.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		nodes = append(nodes, running{n, stop})
		t.Cleanup(stop)
	}
	for _, n := range nodes {
		becomeReady(t, n.Node)
	}
	return nodes
}

// TestWatermarks: clients on all nodes of a cluster with eight shards watch all
// of it and parts of it, from now and from the past, while many write. They are
// told of every change once, in order, each revision whole; and once they are
// told a revision without events, no event up to it follows.
func TestWatermarks(t *testing.T) {
	nodes := startNodes(t, watchSplits(), 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h := &history{changes: map[string]kv.Revision{}}
	writing, rest := context.WithCancel(ctx)
	defer rest()
	var writers, watchers sync.WaitGroup
	for seed := range uint64(4) {
		writers.Go(func() { h.write(ctx, t, nodes, seed, 150) })
	}
	var auditors []*auditor
	for i, n := range nodes {
		conn := serve(t, etcdapi.Options{
			Store: n, Maintainer: n, ProgressInterval: 100 * time.Millisecond,
		})
		stream, err := pb.NewWatchClient(conn).Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		a := newAuditor(t, stream, uint64(i))
		auditors = append(auditors, a)
		watchers.Go(func() { a.ask(writing) })
	}
	writers.Wait()
	rest()
	watchers.Wait()
	for _, a := range auditors {
		a.finish(h.last())
		h.compare(t, a)
	}
}

// history is what the writers of a cluster have written.
type history struct {
	mu sync.Mutex
	// changes are revisions by key and value: no two are alike.
	changes map[string]kv.Revision
}

// write writes and deletes keys of one or more shards, on any node.
func (h *history) write(
	ctx context.Context, t *testing.T, nodes []running, seed uint64, count int,
) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range count {
		var req kv.TxnRequest
		first := rng.IntN(8)
		for j := range 1 + rng.IntN(3) {
			put := &kv.PutRequest{
				Key:   fmt.Appendf(nil, "%c%d", 'a'+(first+j)%8, rng.IntN(5)),
				Value: fmt.Append(nil, seed, ".", i, ".", j),
			}
			req.Success = append(req.Success, kv.Op{Put: put})
		}
		resp, err := nodes[rng.IntN(len(nodes))].Txn(ctx, req)
		if err != nil {
			t.Error(err)
			return
		}
		h.mu.Lock()
		for _, op := range req.Success {
			h.changes[string(op.Put.Key)+"="+string(op.Put.Value)] = resp.Revision
		}
		h.mu.Unlock()
	}
}

func (h *history) last() (last int64) {
	for _, rev := range h.changes {
		last = max(last, int64(rev))
	}
	return last
}

// compare holds what an auditor was told to what happened.
func (h *history) compare(t *testing.T, a *auditor) {
	t.Helper()
	for id, w := range a.watches {
		told := map[string]bool{}
		for _, c := range w.changes {
			if told[c] {
				t.Errorf("watch %d was told %s twice", id, c)
			}
			told[c] = true
			if _, happened := h.changes[c]; !happened {
				t.Errorf("watch %d was told %s, which was not written", id, c)
			}
		}
		for c, rev := range h.changes {
			in := w.keys.Contains([]byte(c[:2]))
			if want := in && int64(rev) >= w.from; want != told[c] {
				t.Errorf("watch %d of %v from %d was told %s of %d: %v",
					id, w.keys, w.from, c, rev, told[c])
			}
		}
	}
}

// auditor has watches on one stream, and checks the rules of what it is told.
type auditor struct {
	t      *testing.T
	stream pb.Watch_WatchClient
	rng    *rand.Rand
	// created are the watches asked for, in order; watches those told to be.
	created []*audited
	watches map[int64]*audited
}

// audited is one watch.
type audited struct {
	keys kv.Range
	// from is the first revision to be told, mark the last of those that were
	// told completely.
	from, mark int64
	changes    []string
}

func newAuditor(t *testing.T, stream pb.Watch_WatchClient, seed uint64) *auditor {
	return &auditor{
		t: t, stream: stream, rng: rand.New(rand.NewPCG(seed, 1)), watches: map[int64]*audited{},
	}
}

// watchesMax is how many watches an auditor makes.
const watchesMax = 20

// ask makes watches and asks for progress, until ctx ends.
func (a *auditor) ask(ctx context.Context) {
	for ctx.Err() == nil || len(a.created) < watchesMax {
		if len(a.created) < watchesMax && a.rng.IntN(3) == 0 {
			a.create()
		}
		a.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
			ProgressRequest: &pb.WatchProgressRequest{},
		}})
		// Each watch is told of its progress in between, so there is something.
		if len(a.created) > 0 && !a.hear() {
			return
		}
	}
}

// create asks for a watch of some keys, from now or from the past.
func (a *auditor) create() {
	w := &audited{}
	if a.rng.IntN(3) > 0 {
		first := byte('a' + a.rng.IntN(8))
		w.keys = kv.Range{Start: []byte{first}, End: []byte{first + byte(1+a.rng.IntN(4))}}
	}
	if a.rng.IntN(2) == 0 {
		w.from = 1 + a.rng.Int64N(300)
	}
	a.created = append(a.created, w)
	req := &pb.WatchCreateRequest{
		Key: w.keys.Start, RangeEnd: w.keys.End, StartRevision: w.from, ProgressNotify: true,
	}
	if w.keys.End == nil {
		req.Key, req.RangeEnd = []byte{0}, []byte{0}
	}
	a.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: req}})
}

func (a *auditor) send(req *pb.WatchRequest) {
	if err := a.stream.Send(req); err != nil {
		a.t.Error(err)
	}
}

// finish hears until all watches were told all up to a revision.
func (a *auditor) finish(last int64) {
	behind := func(w *audited) bool { return w.mark < last }
	for len(a.watches) < watchesMax || slices.ContainsFunc(a.created, behind) {
		a.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
			ProgressRequest: &pb.WatchProgressRequest{},
		}})
		if !a.hear() {
			return
		}
	}
}

// hear takes one response.
func (a *auditor) hear() bool {
	resp, err := a.stream.Recv()
	if err != nil {
		a.t.Error(err)
		return false
	}
	revision := resp.Header.Revision
	switch w := a.watches[resp.WatchId]; {
	case resp.Created && !resp.Canceled:
		w := a.created[len(a.watches)]
		a.watches[resp.WatchId] = w
		if w.from == 0 {
			w.from, w.mark = revision+1, revision
		}
	case resp.WatchId == -1 && len(resp.Events) == 0:
		for _, w := range a.watches {
			w.mark = max(w.mark, revision)
		}
	case w == nil:
		a.t.Errorf("told of no watch: %v", resp)
	default:
		w.hear(a.t, resp)
	}
	return true
}

func (w *audited) hear(t *testing.T, resp *pb.WatchResponse) {
	for i, e := range resp.Events {
		if e.Kv.ModRevision <= w.mark {
			t.Errorf("told of %d although all up to %d was told", e.Kv.ModRevision, w.mark)
		}
		if i > 0 && e.Kv.ModRevision < resp.Events[i-1].Kv.ModRevision {
			t.Errorf("told of %d late", e.Kv.ModRevision)
		}
		w.changes = append(w.changes, string(e.Kv.Key)+"="+string(e.Kv.Value))
	}
	if n := len(resp.Events); n > 0 && resp.Events[n-1].Kv.ModRevision > resp.Header.Revision {
		t.Errorf("the header tells %d before %d", resp.Header.Revision,
			resp.Events[n-1].Kv.ModRevision)
	}
	w.mark = max(w.mark, resp.Header.Revision)
}
