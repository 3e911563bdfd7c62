package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/watch"
)

// eightShards splits the keys that randomWrite makes.
func eightShards() Cluster {
	cl := Cluster{Shards: 8}
	for _, c := range "bcdefgh" {
		cl.SplitAt = append(cl.SplitAt, []byte(string(c)))
	}
	return cl
}

// live are the nodes of a cluster while some are stopped and started again.
type live struct {
	nodes [3]atomic.Pointer[Node]
}

// pick is some node that runs.
func (l *live) pick(rng *rand.Rand) *Node {
	for first := rng.IntN(3); ; first++ {
		if n := l.nodes[first%3].Load(); n != nil {
			return n
		}
	}
}

func randomWrite(rng *rand.Rand) kv.TxnRequest {
	var req kv.TxnRequest
	start := rng.IntN(8)
	for i := range 1 + rng.IntN(3) {
		key := []byte{byte('a' + (start+i)%8), byte('0' + rng.IntN(10))}
		if rng.IntN(4) == 0 {
			del := &kv.DeleteRequest{Range: kv.PointRange(key)}
			req.Success = append(req.Success, kv.Op{Delete: del})
			continue
		}
		put := &kv.PutRequest{Key: key, Value: fmt.Append(nil, rng.IntN(1000))}
		req.Success = append(req.Success, kv.Op{Put: put})
	}
	return req
}

// told is one event, as text.
func told(rev kv.Revision, e *kv.Event) string {
	text := fmt.Sprintf("%v %s=%s v%d", rev, e.KV.Key, e.KV.Value, e.KV.Version)
	if e.Deleted {
		text = fmt.Sprintf("%v -%s", rev, e.KV.Key)
	}
	return text
}

// fullHistory is what all shards hold, in the order of revisions.
func fullHistory(t *testing.T, n *Node) []string {
	var all []mvcc.Event
	for _, s := range n.shards.Shards {
		for e, err := range mvcc.History(n.engine, s.ID, 1, 0) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b mvcc.Event) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Sub, b.Sub))
	})
	var list []string
	for _, e := range all {
		list = append(list, told(e.Revision, &kv.Event{KV: e.KV, Deleted: e.Deleted}))
	}
	return list
}

// follow watches everything from the first revision on until it has got to end,
// on whichever node runs. It resumes where it was when its node goes away.
func follow(ctx context.Context, l *live, seed uint64, end <-chan kv.Revision) ([]string, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var list []string
	var last, until kv.Revision
	for {
		events, upTo, err := followOn(ctx, l.pick(rng), last+1, &until, end)
		list = append(list, events...)
		last = max(last, upTo)
		if err == nil || ctx.Err() != nil {
			return list, err
		}
	}
}

func followOn(
	ctx context.Context, n *Node, from kv.Revision, until *kv.Revision, end <-chan kv.Revision,
) (list []string, upTo kv.Revision, err error) {
	s, err := n.Watch(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer s.Close()
	if _, err := s.Add(kv.WatchRequest{From: from, PrevKV: from%2 == 0}); err != nil {
		return nil, 0, err
	}
	for *until == 0 || upTo < *until {
		if *until == 0 {
			select {
			case *until = <-end:
			default:
			}
		}
		s.Progress()
		resp, err := s.Next(ctx)
		if err != nil {
			return list, upTo, err
		}
		if resp.ID != 0 && resp.Revision <= upTo {
			return list, upTo, fmt.Errorf("%v is told after %v", resp.Revision, upTo)
		}
		upTo = max(upTo, resp.Revision)
		for i := range resp.Events {
			list = append(list, told(resp.Events[i].KV.ModRevision, &resp.Events[i]))
		}
	}
	return list, upTo, nil
}

// Watches of everything, over eight shards, on all nodes, hear exactly what
// the history holds, while nodes are killed that lead some of the shards.
func TestWatchesThroughKills(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, eightShards(), Config{Durability: DurabilityOS})
	var l live
	for i := range c.nodes {
		c.awaitReady(i)
		l.nodes[i].Store(c.nodes[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var written atomic.Int64
	var writers, watchers sync.WaitGroup
	writing, stop := context.WithCancel(ctx)
	for seed := range uint64(3) {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 2))
			for writing.Err() == nil {
				if _, err := l.pick(rng).Txn(ctx, randomWrite(rng)); err == nil {
					written.Add(1)
				}
			}
		})
	}
	lists := make([][]string, 4)
	ends := make([]chan kv.Revision, len(lists))
	for i := range lists {
		ends[i] = make(chan kv.Revision, 1)
		watchers.Go(func() {
			var err error
			if lists[i], err = follow(ctx, &l, uint64(i), ends[i]); err != nil {
				t.Errorf("watcher %d: %v", i, err)
			}
		})
	}
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		awaitMore(ctx, &written, 100)
		l.nodes[round].Store(nil)
		c.kill(round)
		awaitMore(ctx, &written, 50)
		c.start(round)
		c.awaitReady(round)
		l.nodes[round].Store(c.nodes[round])
	}
	awaitMore(ctx, &written, 100)
	stop()
	writers.Wait()
	resp, err := c.nodes[0].Range(ctx, kv.RangeRequest{CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ends {
		ends[i] <- resp.Revision
	}
	watchers.Wait()
	want := fullHistory(t, c.nodes[0])
	for i, list := range lists {
		if d := difference(list, want); d != "" {
			t.Errorf("watcher %d: %s", i, d)
		}
	}
}

// awaitMore waits until a count has grown.
func awaitMore(ctx context.Context, count *atomic.Int64, more int64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for upTo := count.Load() + more; count.Load() < upTo && ctx.Err() == nil; {
		<-tick.C
	}
}

// kill stops a node that hands nothing over.
func (c *testCluster) kill(i int) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	cancel()
	if err := c.nodes[i].Stop(ctx); err != nil {
		c.t.Errorf("kill %d: %v", i, err)
	}
	c.nodes[i] = nil
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d events, of %d: %s is missing", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Sprintf("%d events, of %d: %s is too many", len(got), len(want), got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("event %d of %d is %s, not %s", i, len(want), got[i], want[i])
		}
	}
	return ""
}

// An idle watch over all shards has nothing written to any log.
func TestAnIdleWatchAddsNoRaftEntry(t *testing.T) {
	c := newClusterOf(t, 3, eightShards(), Config{Durability: DurabilityMemory})
	for i := range c.nodes {
		c.awaitReady(i)
	}
	s, err := c.nodes[0].Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(kv.WatchRequest{}); err != nil {
		t.Fatal(err)
	}
	rev := c.put(1, "a", "1")
	if got := c.next(s); got.Revision < rev || len(got.Events) != 1 {
		t.Fatalf("%+v", got)
	}
	var before, after []uint64
	for range 5 { // a shard that moves to the node it belongs to adds an entry, once
		before = c.commits()
		for range 20 { // each of which closes the current revision in every shard
			s.Progress()
			c.next(s)
		}
		<-time.After(time.Second)
		if after = c.commits(); slices.Equal(before, after) {
			return
		}
	}
	t.Errorf("commit indexes were %v and are %v", before, after)
}

func (c *testCluster) next(s kv.WatchStream) kv.WatchResponse {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	resp, err := s.Next(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// commits are the commit indexes of all shards.
func (c *testCluster) commits() []uint64 {
	st, err := c.nodes[0].Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	var list []uint64
	for _, s := range st.Shards {
		if s.ID != kv.SystemShard { // the oracle's mark moves with time
			list = append(list, s.Commit)
		}
	}
	return list
}

// Who does not read costs the others nothing, and misses nothing.
func TestASlowReaderLosesNothing(t *testing.T) {
	bounds := watch.DefaultBounds()
	bounds.QueueBytesMax = 4 << 10
	c := newClusterOf(t, 1, Cluster{Shards: 2, SplitAt: [][]byte{[]byte("m")}},
		Config{Durability: DurabilityMemory, lab: lab{watches: bounds}})
	c.awaitReady(0)
	slow, err := c.nodes[0].Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fast, err := c.nodes[0].Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []kv.WatchStream{slow, fast} {
		if _, err := s.Add(kv.WatchRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	var want, got []string
	for i := range 300 {
		c.put(0, fmt.Sprintf("%c%d", "ax"[i%2], i), fmt.Sprint(i))
		for _, e := range c.next(fast).Events {
			want = append(want, told(e.KV.ModRevision, &e))
		}
	}
	if load, _ := c.nodes[0].hub.Load().load(); load.QueueBytes > 2*bounds.QueueBytesMax {
		t.Errorf("%d bytes wait, the bound is %d a stream", load.QueueBytes, bounds.QueueBytesMax)
	}
	for len(got) < len(want) {
		for _, e := range c.next(slow).Events {
			got = append(got, told(e.KV.ModRevision, &e))
		}
	}
	if d := difference(got, want); d != "" || len(want) != 300 {
		t.Errorf("%d events: %s", len(want), d)
	}
	rev := c.put(0, "b", "last")
	if resp := c.next(slow); resp.Revision != rev {
		t.Errorf("then the slow one is told %+v", resp)
	}
}

// A stream ends with its context, with Close and with its node.
func TestStreamsEnd(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	ctx, cancel := context.WithCancel(t.Context())
	byContext, err := c.nodes[0].Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	byNode, err := c.nodes[0].Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := byNode.Add(kv.WatchRequest{Range: kv.PointRange([]byte("a"))})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := byContext.Next(t.Context()); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("after its context has ended: %v", err)
	}
	c.put(0, "a", "1")
	if got := c.next(byNode); got.ID != id || !bytes.Equal(got.Events[0].KV.Value, []byte("1")) {
		t.Errorf("%+v", got)
	}
	byNode.Remove(id)
	c.put(0, "a", "2")
	byNode.Progress()
	if got := c.next(byNode); got.ID != 0 || len(got.Events) != 0 {
		t.Errorf("after Remove %+v", got)
	}
	n := c.nodes[0]
	c.stop(0)
	if _, err := byNode.Next(t.Context()); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("after its node has stopped: %v", err)
	}
	if _, err := n.Watch(t.Context()); !errors.Is(err, kv.ErrStopped) {
		t.Errorf("of a stopped node: %v", err)
	}
	byNode.Close()
}

// A node watches shards that it has no replica of.
func TestWatchesFromElsewhere(t *testing.T) {
	c := newClusterOf(t, 4, eightShards(), Config{Durability: DurabilityMemory})
	for i := range c.nodes {
		c.awaitReady(i)
	}
	held := map[kv.NodeID]int{}
	for _, s := range c.nodes[0].shards.Shards {
		for _, node := range s.Nodes {
			held[node]++
		}
	}
	if held[1] == 8 && held[2] == 8 && held[3] == 8 && held[4] == 8 {
		t.Fatal("all nodes hold all shards")
	}
	var want []string
	write := func(count int) (last kv.Revision) {
		for i := range count {
			key := fmt.Sprintf("%c%d", 'a'+i%8, i)
			last = c.put(i%4, key, fmt.Sprint(i))
			e := kv.Event{KV: kv.KeyValue{Key: []byte(key), Value: fmt.Append(nil, i), Version: 1}}
			want = append(want, told(last, &e))
		}
		return last
	}
	write(100)
	var streams []kv.WatchStream
	for i := range c.nodes {
		s, err := c.nodes[i].Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(kv.WatchRequest{From: 1, PrevKV: true}); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i := range 100 { // those keys exist
		key := fmt.Sprintf("%c%d", 'a'+i%8, i)
		rev := c.put(i%4, key, "again")
		want = append(want, told(rev, &kv.Event{
			KV: kv.KeyValue{Key: []byte(key), Value: []byte("again"), Version: 2},
		}))
	}
	for i, s := range streams {
		var got []string
		for len(got) < len(want) {
			for _, e := range c.next(s).Events {
				got = append(got, told(e.KV.ModRevision, &e))
				if (e.Prev != nil) != (e.KV.Version == 2) {
					t.Errorf("the version before %q v%d is %v", e.KV.Key, e.KV.Version, e.Prev)
				}
			}
		}
		if d := difference(got, want); d != "" {
			t.Errorf("n%d, which holds %d shards: %s", i+1, held[kv.NodeID(i+1)], d)
		}
	}
}
