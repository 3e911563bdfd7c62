package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestCompact compacts a cluster of several shards, asked at a node that need not
// lead any of them.
func TestCompact(t *testing.T) {
	c := newTestCluster(t, 3, 3, DurabilityMemory)
	for i := range c.nodes {
		c.awaitReady(i)
	}
	old := c.put(0, "\x01a", "1")
	rev := c.put(0, "\x01a", "2")
	last := c.put(1, "\xfez", "1")
	ctx := t.Context()
	for _, n := range c.nodes {
		if _, err := n.Compact(ctx, last+1); !errors.Is(err, kv.ErrFutureRevision) {
			t.Errorf("above the last revision: %v", err)
		}
	}
	current, err := c.nodes[2].Compact(ctx, rev)
	if err != nil || current != last {
		t.Fatalf("compacted, the current revision is %v, not %v: %v", current, last, err)
	}
	for i, n := range c.nodes {
		for _, again := range []kv.Revision{rev, old, 0, -1} {
			if _, err := n.Compact(ctx, again); !errors.Is(err, kv.ErrCompacted) {
				t.Errorf("node %d, compacted at %v again: %v", i, again, err)
			}
		}
		read := func(at kv.Revision) (kv.RangeResponse, error) {
			key := kv.PointRange([]byte("\x01a"))
			return n.Range(ctx, kv.RangeRequest{Range: key, Revision: at})
		}
		if _, err := read(old); !errors.Is(err, kv.ErrCompacted) {
			t.Errorf("node %d, a read below the floor: %v", i, err)
		}
		resp, err := read(rev)
		if err != nil || len(resp.KVs) != 1 || string(resp.KVs[0].Value) != "2" {
			t.Errorf("node %d, a read at the floor: %v, %v", i, resp.KVs, err)
		}
	}
	for i := range c.nodes {
		floors := gather(t, c.nodes[i])["miruvor_shard_compacted_revision"]
		if got := sum(floors); got == 0 {
			t.Errorf("node %d tells no floor", i)
		}
	}
}

// TestSpaceReturns overwrites and deletes until a directory is many times larger than
// what lives in it, compacts, and waits for the space. Nothing but the compaction
// moves it.
func TestSpaceReturns(t *testing.T) {
	c := newClusterOf(t, 1, Cluster{Shards: 2}, Config{
		Durability: DurabilityOS, lab: lab{memtableBytes: 1 << 20, segmentBytes: 4 << 20},
	})
	c.awaitReady(0)
	const (
		keys, rounds = 64, 60
		valueBytes   = 8 << 10
	)
	last := overwrite(t, c.nodes[0], keys, rounds, valueBytes)
	before := tablesBytes(t, c.configs[0].Dir)
	if before < keys*rounds*valueBytes/2 {
		t.Fatalf("%d bytes of tables were written", before)
	}
	if _, err := c.nodes[0].Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	c.await("the space", func() error {
		after := tablesBytes(t, c.configs[0].Dir)
		if after > 4*keys*valueBytes {
			return fmt.Errorf("%d bytes of %d are left", after, before)
		}
		return nil
	})
	if swept := sum(gather(t, c.nodes[0])["miruvor_shard_swept_versions_total"]); swept <
		keys*(rounds-1) {
		t.Errorf("%v versions were swept", swept)
	}
	for i := range keys {
		got := c.get(0, keyOf(i))
		if i%2 == 0 && got != "" || i%2 == 1 && len(got) != valueBytes {
			t.Errorf("key %d has a value of %d bytes", i, len(got))
		}
	}
	c.stop(0)
	c.checkStopped()
}

func keyOf(i int) string { return fmt.Sprintf("%c%d", 'A'+4*i%200, i) }

// overwrite puts keys, rounds times, then deletes every other one. It returns the last
// revision.
func overwrite(t testing.TB, n *Node, keys, rounds, valueBytes int) kv.Revision {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, valueBytes)
	last := kv.Revision(0)
	for round := range rounds + 1 {
		for i := range keys {
			for j := range value {
				value[j] = byte(rng.Uint32())
			}
			op := kv.Op{Put: &kv.PutRequest{Key: []byte(keyOf(i)), Value: value}}
			switch {
			case round == rounds && i%2 == 1:
				continue
			case round == rounds:
				op = kv.Op{Delete: &kv.DeleteRequest{Range: kv.PointRange([]byte(keyOf(i)))}}
			}
			resp, err := n.Txn(t.Context(), kv.TxnRequest{Success: []kv.Op{op}})
			if err != nil {
				t.Fatal(err)
			}
			last = resp.Revision
		}
	}
	return last
}

// tablesBytes is what the tables of a node's engine take on disk.
func tablesBytes(t testing.TB, dir string) int {
	t.Helper()
	total := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".sst") {
			return nil // a file may go while it is looked at
		}
		if info, err := d.Info(); err == nil {
			total += int(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
