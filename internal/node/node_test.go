package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// testCluster is a cluster of real nodes on loopback, in one process.
type testCluster struct {
	t       testing.TB
	configs []Config
	nodes   []*Node
}

func newTestCluster(t testing.TB, size, shards int, durability Durability) *testCluster {
	t.Helper()
	return newClusterOf(t, size, Cluster{Shards: shards}, Config{Durability: durability})
}

// steady is the lab of tests in which no leader may change: that would skip revisions.
var steady = lab{electionTicks: 80}

const (
	// giveUp is when nodes give requests up, patience more than anything takes that is
	// going to happen.
	giveUp   = 20 * time.Second
	patience = time.Minute
)

// newClusterOf starts size nodes, which get their names, addresses and
// directories and are like base in all else.
func newClusterOf(t testing.TB, size int, cl Cluster, base Config) *testCluster {
	t.Helper()
	c := planCluster(t, size, cl, base)
	for i := range size {
		c.start(i)
	}
	return c
}

// planCluster is newClusterOf with no node started.
func planCluster(t testing.TB, size int, cl Cluster, base Config) *testCluster {
	t.Helper()
	c := &testCluster{t: t, nodes: make([]*Node, size)}
	dir := t.TempDir()
	for i := range size {
		cl.Members = append(cl.Members, Member{Name: fmt.Sprintf("n%d", i+1), Peer: freeAddr(t)})
	}
	// A busy machine must not look like a dead leader, nor like one that never answers.
	base.RequestTimeout = cmp.Or(base.RequestTimeout, giveUp)
	base.lab.electionTicks = cmp.Or(base.lab.electionTicks, 24)
	level := slog.LevelError
	if os.Getenv("MIRUVOR_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	for _, m := range cl.Members {
		logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
		cfg := base
		cfg.Name, cfg.Dir, cfg.Listen = m.Name, filepath.Join(dir, m.Name), m.Peer
		cfg.Cluster, cfg.Logger = cl, logger.With("node", m.Name)
		c.configs = append(c.configs, cfg)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

// portsUsed are the ports that freeAddr has given out.
var portsUsed sync.Map

// freeAddr is an address on loopback that nobody listens on, and that no other
// test was given. It lies below the ports that systems give to outgoing
// connections, which would else take it before the node does, and apart from
// those of the tests of other packages.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := 14_000 + rand.IntN(6_000)
		if _, used := portsUsed.LoadOrStore(port, true); used {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func (c *testCluster) start(i int) {
	c.t.Helper()
	n, err := Start(c.configs[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = n
}

func (c *testCluster) stop(i int) {
	c.t.Helper()
	if c.nodes[i] == nil {
		return
	}
	if err := c.nodes[i].Stop(c.t.Context()); err != nil {
		c.t.Errorf("stop %d: %v", i, err)
	}
	c.nodes[i] = nil
}

func (c *testCluster) awaitReady(i int) {
	c.t.Helper()
	if err := becomeReady(c.t.Context(), c.nodes[i]); err != nil {
		c.t.Fatalf("node %d: %v", i, err)
	}
}

// becomeReady polls until a node serves. Polling is bounded, and its pause is
// part of what is waited for.
func becomeReady(ctx context.Context, n *Node) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := n.Status(ctx)
		if err == nil && st.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %v, waiting for %s", err, st.Waiting)
		case err := <-n.Failed():
			return err
		case <-tick.C:
		}
	}
}

func (c *testCluster) put(i int, key, value string) kv.Revision {
	c.t.Helper()
	resp, err := kv.Put(c.t.Context(), c.nodes[i], kv.PutRequest{
		Key: []byte(key), Value: []byte(value),
	})
	if err != nil {
		c.t.Fatalf("put %q on node %d: %v", key, i, err)
	}
	return resp.Revision
}

func (c *testCluster) get(i int, key string) string {
	c.t.Helper()
	resp, err := c.nodes[i].Range(c.t.Context(), kv.RangeRequest{
		Range: kv.PointRange([]byte(key)),
	})
	if err != nil {
		c.t.Fatalf("get %q on node %d: %v", key, i, err)
	}
	if len(resp.KVs) == 0 {
		return ""
	}
	return string(resp.KVs[0].Value)
}

func TestOneNodeIsReadyAtOnce(t *testing.T) {
	begin := time.Now()
	c := newTestCluster(t, 1, 1, DurabilitySync)
	c.awaitReady(0)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("ready after %v", took)
	}
	first := c.put(0, "a", "1")
	if second := c.put(0, "a", "2"); second != first+1 || first != kv.FirstRevision+1 {
		t.Errorf("revisions %v, %v", first, second)
	}
	c.stop(0)
	c.start(0)
	c.awaitReady(0)
	if got := c.get(0, "a"); got != "2" {
		t.Errorf("after a restart a is %q", got)
	}
	if third := c.put(0, "a", "3"); third != first+2 {
		t.Errorf("after a clean restart the revision is %v, want %v", third, first+2)
	}
}

func TestThreeNodesServeOnEachOther(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, Cluster{Shards: 4}, Config{Durability: DurabilitySync, lab: steady})
	for i := range 3 {
		c.awaitReady(i)
	}
	last := kv.FirstRevision
	for i := range 30 {
		rev := c.put(i%3, fmt.Sprintf("%c%d", 'a'+i*37%64, i), fmt.Sprint(i))
		if rev != last+1 {
			t.Errorf("put %d has revision %v after %v", i, rev, last)
		}
		last = rev
		if got := c.get((i+1)%3, fmt.Sprintf("%c%d", 'a'+i*37%64, i)); got != fmt.Sprint(i) {
			t.Errorf("get %d on another node: %q", i, got)
		}
	}
	resp, err := c.nodes[0].Range(t.Context(), kv.RangeRequest{})
	if err != nil || len(resp.KVs) != 30 || resp.Revision != last {
		t.Errorf("all: %d keys at %v, %v", len(resp.KVs), resp.Revision, err)
	}
}
