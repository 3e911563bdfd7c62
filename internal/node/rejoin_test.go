package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// TestDeletedDirectoryRejoins takes a node's directory away. It must come back
// as somebody else, as a learner first, and end with the same data.
func TestDeletedDirectoryRejoins(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3, 3, DurabilityOS)
	c.awaitAll()
	c.load(0, 200)
	c.stop(2)
	if err := os.RemoveAll(c.configs[2].Dir); err != nil {
		t.Fatal(err)
	}
	c.load(0, 100)
	c.start(2)
	c.awaitMembers(func(self placement.Replica) error {
		if self.ID <= 3 || self.Learner || self.Incarnation == 0 {
			return fmt.Errorf("n3 has the replica %+v, want a new one that votes", self)
		}
		return nil
	})
	if role := c.nodes[2].role(); role != wire.RoleReplacement {
		t.Errorf("n3 has the role %v", role)
	}
	c.load(2, 50)
	c.sameEverywhere()
	c.checkStopped()
}

// TestSecondReplacement takes a replacement's directory away too.
func TestSecondReplacement(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3, 1, DurabilityMemory)
	c.awaitAll()
	c.load(0, 20)
	for round := range kv.ReplicaID(2) {
		c.stop(2)
		c.start(2)
		c.awaitMembers(func(self placement.Replica) error {
			if self.ID != 4+round || self.Learner {
				return fmt.Errorf("n3 has the replica %+v, want %d", self, 4+round)
			}
			return nil
		})
		c.load(2, 20)
	}
	c.sameEverywhere()
}

// TestFarBehind stops a node until the others have forgotten what it lacks. It
// keeps its place, and gets a snapshot.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	bounds := replica.DefaultBounds()
	bounds.LogKeepEntries, bounds.LogKeepBytes = 5, 1
	c := newClusterOf(t, 3, Cluster{Shards: 3}, Config{
		Durability: DurabilityOS, lab: lab{bounds: bounds},
	})
	c.awaitAll()
	c.load(0, 50)
	c.stop(2)
	c.load(0, 150)
	for _, n := range c.nodes[:2] {
		if err := n.engine.Flush(); err != nil {
			t.Fatal(err)
		}
		c.await("the log to be truncated", func() error { return n.logsBegin(40) })
	}
	c.start(2)
	c.awaitReady(2)
	c.load(2, 50)
	c.sameEverywhere()
	if err := c.nodes[2].logsBegin(40); err != nil {
		t.Errorf("n3 took no snapshot: %v", err)
	}
	for s := kv.ShardID(1); s <= 3; s++ {
		if self := c.replicaOn(0, s, 3); self.ID > 3 || self.Incarnation != 0 {
			t.Errorf("shard %v: n3 became the replica %+v", s, self)
		}
	}
	c.checkStopped()
}

// logsBegin checks that the logs of the three shards begin at index at least.
func (n *Node) logsBegin(index uint64) error {
	for s := kv.ShardID(1); s <= 3; s++ {
		if first, _ := n.raftlog.Group(s).FirstIndex(); first < index {
			return fmt.Errorf("the log of shard %v on %s begins at %d", s, n.cfg.Name, first)
		}
	}
	return nil
}

// load writes count keys, spread over all shards, some again and again, and
// deletes some.
func (c *testCluster) load(i, count int) {
	c.t.Helper()
	for j := range count {
		key := fmt.Appendf([]byte{byte(j * 37)}, "%d", j%20)
		value := bytes.Repeat([]byte{byte(j)}, j*7)
		_, err := kv.Put(c.t.Context(), c.nodes[i], kv.PutRequest{Key: key, Value: value})
		if err != nil {
			c.t.Fatalf("put %d on node %d: %v", j, i, err)
		}
		if j%10 != 9 {
			continue
		}
		if _, err := kv.Delete(c.t.Context(), c.nodes[i], kv.DeleteRequest{
			Range: kv.PointRange(key),
		}); err != nil {
			c.t.Fatalf("delete %d on node %d: %v", j, i, err)
		}
	}
}

func (c *testCluster) awaitAll() {
	c.t.Helper()
	for i := range c.nodes {
		c.awaitReady(i)
	}
}

// await polls until done returns nil.
func (c *testCluster) await(what string, done func() error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := done(); err != nil; err = done() {
		select {
		case <-ctx.Done():
			c.t.Fatalf("waiting for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// replicaOn is the replica of a shard on a node, as the i'th node has stored it.
func (c *testCluster) replicaOn(i int, s kv.ShardID, node kv.NodeID) placement.Replica {
	c.t.Helper()
	data, err := c.nodes[i].engine.Get(keyspace.MetaKey(nil, s, keyspace.KindDescriptor))
	if errors.Is(err, engine.ErrNotFound) {
		return placement.Replica{}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	desc, err := placement.DecodeDescriptor(data)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(desc.Replicas) > 3 {
		c.t.Fatalf("shard %v has the replicas %+v", s, desc.Replicas)
	}
	self, _ := desc.On(node)
	return self
}

// awaitMembers waits until n3's replica of every shard is as it should be, in
// the eyes of every node.
func (c *testCluster) awaitMembers(right func(self placement.Replica) error) {
	c.t.Helper()
	shards := kv.ShardID(c.configs[0].Cluster.Shards)
	c.await("members", func() error {
		for i := range c.nodes {
			for s := kv.SystemShard; s <= shards; s++ {
				if err := right(c.replicaOn(i, s, 3)); err != nil {
					return fmt.Errorf("shard %v in the eyes of n%d: %w", s, i+1, err)
				}
			}
		}
		return nil
	})
}

// sameEverywhere waits until all nodes have applied the same entries, and then
// compares every byte of every shard.
func (c *testCluster) sameEverywhere() {
	c.t.Helper()
	c.await("all nodes to hold the same", func() error {
		want := c.contents(0)
		for i := range c.nodes {
			if got := c.contents(i); got != want {
				return fmt.Errorf("n%d differs from n1:\n%s", i+1, firstDifference(got, want))
			}
		}
		return nil
	})
}

// contents is everything that the i'th node's engine holds of its shards.
func (c *testCluster) contents(i int) string {
	c.t.Helper()
	it, err := c.nodes[i].engine.NewIter([]byte{byte(keyspace.SpaceMeta)}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	var b strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&b, "%x = %q\n", it.Key(), it.Value())
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		c.t.Fatal(err)
	}
	return b.String()
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d of %d\n%.300s\nline %d of %d\n%.300s",
				i, len(a), a[i], i, len(b), b[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(a), len(b))
}

// checkStopped stops all nodes and checks their directories.
func (c *testCluster) checkStopped() {
	c.t.Helper()
	for i := range c.nodes {
		c.stop(i)
		problems, err := Check(c.configs[i].Dir, nil)
		if err != nil || len(problems) > 0 {
			c.t.Errorf("n%d: %v, %v", i+1, problems, err)
		}
	}
}
