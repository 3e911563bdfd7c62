package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/backup"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
)

// original is a backup of a cluster, and what was in it.
type original struct {
	file []byte
	sum  backup.Summary
	kvs  []kv.KeyValue
}

// takeOriginal is a backup of three nodes with four shards that was made, once,
// while others wrote.
func takeOriginal(t *testing.T) original {
	t.Helper()
	takingOriginal.Do(func() { theOriginal = makeOriginal(t) })
	if theOriginal.file == nil {
		t.Skip("there is no backup")
	}
	return theOriginal
}

var (
	takingOriginal sync.Once
	theOriginal    original
)

func makeOriginal(t *testing.T) original {
	t.Helper()
	c := newTestCluster(t, 3, 4, DurabilityMemory)
	c.awaitAll()
	c.load(0, 300)
	c.lease(0, 77, 9000, 40)
	c.lease(0, 78, 60, 3)
	c.lease(0, 79, 2, 0)
	stop, wait := c.writeOn()
	var o original
	var file bytes.Buffer
	var err error
	o.sum, err = backup.Write(t.Context(), c.nodes[1], &file, backup.Options{PageBytes: 2000})
	stop()
	wait()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.nodes[2].Range(t.Context(), kv.RangeRequest{Revision: o.sum.Revision})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Revision == o.sum.Revision {
		t.Error("nothing was written while the backup was taken")
	}
	o.file, o.kvs = file.Bytes(), resp.KVs
	for i := range c.nodes {
		c.stop(i)
	}
	return o
}

// lease hangs count keys on a new lease, spread over all shards.
func (c *testCluster) lease(i int, id kv.LeaseID, ttl int64, count int) {
	c.t.Helper()
	_, err := c.nodes[i].LeaseGrant(c.t.Context(), kv.LeaseGrantRequest{ID: id, TTL: ttl})
	if err != nil {
		c.t.Fatal(err)
	}
	for j := range count {
		_, err := kv.Put(c.t.Context(), c.nodes[i], kv.PutRequest{
			Key: fmt.Appendf([]byte{byte(j * 83)}, "on %d", id), Lease: id,
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// writeOn has somebody write until stop.
func (c *testCluster) writeOn() (stop, wait func()) {
	ctx, stop := context.WithCancel(c.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for j := 0; ctx.Err() == nil; j++ {
			_, err := kv.Put(ctx, c.nodes[0], kv.PutRequest{
				Key: []byte{byte(j * 41), byte(j)}, Value: []byte("meanwhile"),
			})
			if err != nil && ctx.Err() == nil {
				c.t.Error(err)
				return
			}
		}
	})
	return stop, running.Wait
}

// restoredCluster restores o into size nodes and starts them.
func restoredCluster(t *testing.T, o original, size int, cl Cluster, from Backup) *testCluster {
	t.Helper()
	c := planCluster(t, size, cl, Config{Durability: DurabilityOS})
	for i := range size {
		c.restore(i, o, from)
	}
	c.checkStopped()
	for i := range size {
		c.start(i)
	}
	c.awaitAll()
	return c
}

func (c *testCluster) restore(i int, o original, from Backup) Restoration {
	c.t.Helper()
	from.Name, from.File = "the-backup", bytes.NewReader(o.file)
	made, err := Restore(c.configs[i], from)
	if err != nil {
		c.t.Fatal(err)
	}
	return made
}

func TestRestoreIntoOtherShapes(t *testing.T) {
	t.Parallel()
	o := takeOriginal(t)
	t.Run("1 node, 1 shard", func(t *testing.T) {
		t.Parallel()
		c := restoredCluster(t, o, 1, Cluster{Shards: 1}, Backup{})
		c.equals(o, o.sum.Revision+1)
		c.hasLeases(o)
	})
	t.Run("3 nodes, 8 shards", func(t *testing.T) {
		t.Parallel()
		c := restoredCluster(t, o, 3, Cluster{Shards: 8}, Backup{Bump: 1000})
		c.equals(o, o.sum.Revision+1000)
		c.hasLeases(o)
		c.sameEverywhere()
		c.checkStopped()
	})
	t.Run("5 nodes of which some hold nothing, other splits", func(t *testing.T) {
		t.Parallel()
		c := restoredCluster(t, o, 5, Cluster{
			Shards: 3, SplitAt: [][]byte{{0x10}, {0xf0, 0}}, Replicas: 1,
		}, Backup{})
		c.equals(o, o.sum.Revision+1)
		c.checkStopped()
	})
}

// equals wants the keys of the backup in a cluster that begins at first.
func (c *testCluster) equals(o original, first kv.Revision) {
	c.t.Helper()
	ctx := c.t.Context()
	for i := range c.nodes {
		resp, err := c.nodes[i].Range(ctx, kv.RangeRequest{WantCount: true})
		if err != nil {
			c.t.Fatal(err)
		}
		if resp.Revision < first || resp.Count != int64(len(o.kvs)) {
			c.t.Errorf("%d keys at %v, want %d from %v on", resp.Count, resp.Revision,
				len(o.kvs), first)
		}
		if !reflect.DeepEqual(resp.KVs, o.kvs) {
			c.t.Errorf("node %d: other keys than in the backup", i)
		}
		if resp, err = c.nodes[i].Range(ctx, kv.RangeRequest{Revision: first}); err != nil ||
			!reflect.DeepEqual(resp.KVs, o.kvs) {
			c.t.Errorf("a read at the first revision: %d keys, %v", len(resp.KVs), err)
		}
		_, err = c.nodes[i].Range(ctx, kv.RangeRequest{Revision: first - 1})
		if !errors.Is(err, kv.ErrCompacted) {
			c.t.Errorf("a read of the past: %v", err)
		}
	}
	c.watchFrom(o.sum.Revision, first)
	if rev := c.put(0, "new", "1"); rev <= first {
		c.t.Errorf("the first write has %v, the cluster begins at %v", rev, first)
	}
	if _, err := kv.Delete(ctx, c.nodes[0], kv.DeleteRequest{
		Range: kv.PointRange([]byte("new")),
	}); err != nil {
		c.t.Fatal(err)
	}
}

// watchFrom wants a watch from a revision to be told what is compacted.
func (c *testCluster) watchFrom(from, first kv.Revision) {
	c.t.Helper()
	stream, err := c.nodes[0].Watch(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Add(kv.WatchRequest{From: from}); err != nil {
		c.t.Fatal(err)
	}
	resp, err := stream.Next(c.t.Context())
	if err != nil || resp.Compacted != first {
		c.t.Errorf("a watch from %v: %+v, %v", from, resp, err)
	}
}

// hasLeases wants the leases of the backup, with all their time; that of two
// seconds, and one that is revoked, end with their keys.
func (c *testCluster) hasLeases(o original) {
	c.t.Helper()
	ctx := c.t.Context()
	for id, want := range map[kv.LeaseID]int64{77: 9000, 78: 60} {
		l, err := c.nodes[0].LeaseTimeToLive(ctx, id, true)
		if err != nil {
			c.t.Fatal(err)
		}
		if l.Granted != want || l.TTL < want-10 || len(l.Keys) != countOn(o.kvs, id) {
			c.t.Errorf("lease %d: %d of %d seconds, %d keys", id, l.TTL, l.Granted, len(l.Keys))
		}
	}
	onLease := kv.PutRequest{Key: []byte("\xd0"), Lease: 77}
	if _, err := kv.Put(ctx, c.nodes[0], onLease); err != nil {
		c.t.Errorf("a new key on an old lease: %v", err)
	}
	if _, err := c.nodes[0].LeaseRevoke(ctx, 77); err != nil {
		c.t.Error(err)
	}
	resp, err := c.nodes[0].Range(ctx, kv.RangeRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	if n := countOn(resp.KVs, 77); n != 0 || len(resp.KVs) != len(o.kvs)-countOn(o.kvs, 77) {
		c.t.Errorf("%d keys are left on the lease, %d in all", n, len(resp.KVs))
	}
	c.await("the lease of two seconds to end", func() error {
		list, err := c.nodes[0].Leases(ctx)
		if len(list.IDs) != 1 || err != nil {
			return fmt.Errorf("leases %v, %w", list.IDs, err)
		}
		return nil
	})
}

func countOn(kvs []kv.KeyValue, id kv.LeaseID) int {
	n := 0
	for i := range kvs {
		if kvs[i].Lease == id {
			n++
		}
	}
	return n
}

// TestBackupOutlivesANode stops a node, which leads some shards, while a backup
// is taken by way of another.
func TestBackupOutlivesANode(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3, 4, DurabilityMemory)
	c.awaitAll()
	c.load(0, 300)
	want, err := c.nodes[0].Range(t.Context(), kv.RangeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	_, err = backup.Write(t.Context(), c.nodes[0], &file, backup.Options{
		PageBytes: 1000,
		Progress: func(p backup.Progress) {
			if c.nodes[1] != nil && p.Keys > p.Total/3 {
				c.stop(1)
				c.put(0, "later", "")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var keys []kv.KeyValue
	_, err = backup.Read("f", &file, backup.Sink{Key: func(k *kv.KeyValue) error {
		held := *k
		held.Key, held.Value = bytes.Clone(k.Key), append([]byte{}, k.Value...)
		keys = append(keys, held)
		return nil
	}})
	if err != nil || c.nodes[1] != nil || !reflect.DeepEqual(keys, want.KVs) {
		t.Errorf("%d keys, want %d: %v", len(keys), len(want.KVs), err)
	}
}

// TestRestoredVersionsAreCollected overwrites what was restored, and compacts.
func TestRestoredVersionsAreCollected(t *testing.T) {
	t.Parallel()
	o := takeOriginal(t)
	c := restoredCluster(t, o, 1, Cluster{Shards: 2}, Backup{})
	var last kv.Revision
	for i := range o.kvs {
		last = c.put(0, string(o.kvs[i].Key), "again")
	}
	if _, err := c.nodes[0].Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	c.await("the restored versions to go", func() error {
		if n := c.versions(0); n != len(o.kvs) {
			return fmt.Errorf("%d versions of %d keys", n, len(o.kvs))
		}
		return nil
	})
	c.checkStopped()
}

// versions counts the versions that a node has stored.
func (c *testCluster) versions(i int) int {
	c.t.Helper()
	all := keyspace.VersionSpan(kv.Range{})
	it, err := c.nodes[i].engine.NewIter(all.Start, all.End)
	if err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// TestRestoredNodeLosesItsDirectory has a restored node rejoin, once with the
// token and an empty directory, once restored again.
func TestRestoredNodeLosesItsDirectory(t *testing.T) {
	t.Parallel()
	o := takeOriginal(t)
	c := restoredCluster(t, o, 3, Cluster{Shards: 2}, Backup{})
	c.load(0, 100)
	token := c.nodes[0].dir.desc.Restored.Token
	replaced := func(self placement.Replica) error {
		if self.ID <= 3 || self.Learner || self.Incarnation == 0 {
			return fmt.Errorf("n3 has the replica %+v, want a new one that votes", self)
		}
		return nil
	}
	for _, again := range []bool{false, true} {
		c.stop(2)
		if err := os.RemoveAll(c.configs[2].Dir); err != nil {
			t.Fatal(err)
		}
		if again {
			c.configs[2].Cluster.Token = ""
			c.restore(2, o, Backup{})
		} else {
			c.configs[2].Cluster.Token = token
		}
		c.start(2)
		c.awaitMembers(replaced)
		c.load(2, 50)
		c.sameEverywhere()
	}
	c.checkStopped()
}

// TestNodesOfOtherBackupsAreNoCluster mixes what must not be mixed.
func TestNodesOfOtherBackupsAreNoCluster(t *testing.T) {
	t.Parallel()
	o := takeOriginal(t)
	other := o
	other.file = emptyBackup(t)
	c := planCluster(t, 3, Cluster{Shards: 2}, Config{Durability: DurabilityOS})
	c.restore(0, o, Backup{})
	c.restore(1, other, Backup{})
	for i := range 3 {
		c.start(i)
	}
	c.await("all to refuse each other", func() error {
		for i := range 3 {
			for _, p := range c.nodes[i].transport.Peers() {
				if !strings.Contains(p.Problem, "(restored from the backup") {
					return fmt.Errorf("n%d of %v: %q", i+1, p.Node.ID, p.Problem)
				}
			}
		}
		return nil
	})
	for i := range 3 {
		st, err := c.nodes[i].Status(t.Context())
		if err != nil || st.Ready || !strings.Contains(st.Waiting, "a first word") {
			t.Errorf("n%d: %q, %v", i+1, st.Waiting, err)
		}
	}
}

func emptyBackup(t *testing.T) []byte {
	t.Helper()
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitAll()
	var file bytes.Buffer
	if _, err := backup.Write(t.Context(), c.nodes[0], &file, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	c.stop(0)
	return file.Bytes()
}

// TestUnrestoredNodeFoundsNothing starts nodes with the token of a restored
// cluster and empty directories.
func TestUnrestoredNodeFoundsNothing(t *testing.T) {
	t.Parallel()
	for size := range 2 {
		c := planCluster(t, size+1, Cluster{Token: tokenPrefix + "1"},
			Config{Durability: DurabilityOS})
		var failed error
		for i := range c.nodes {
			n, err := Start(c.configs[i])
			if err != nil {
				failed = err
				continue
			}
			c.nodes[i] = n
		}
		if failed == nil {
			select {
			case failed = <-c.nodes[0].Failed():
			case <-time.After(patience):
			}
		}
		if failed == nil || !strings.Contains(failed.Error(), "was not restored") {
			t.Errorf("%d nodes: %v", size+1, failed)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	o := original{file: emptyBackup(t)}
	c := planCluster(t, 1, Cluster{}, Config{Durability: DurabilityOS})
	cfg := c.configs[0]
	try := func(cfg Config, file []byte, bump kv.Revision, want error, text string) {
		t.Helper()
		_, err := Restore(cfg, Backup{Name: "f", File: bytes.NewReader(file), Bump: bump})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
	memory, named := cfg, cfg
	memory.Durability, named.Cluster.Token = DurabilityMemory, tokenPrefix+"x"
	try(memory, o.file, 0, kv.ErrInvalid, "durability")
	try(named, o.file, 0, kv.ErrInvalid, "initial-cluster-token")
	try(cfg, o.file, -1, kv.ErrInvalid, "bump-revision")
	try(cfg, o.file, firstRevisionMax+1, kv.ErrInvalid, "bump-revision")
	try(cfg, o.file, firstRevisionMax, kv.ErrInvalid, "leaves too few revisions")
	try(cfg, o.file[:len(o.file)-1], 0, kv.ErrCorrupt, "offset")
	if _, err := os.Stat(cfg.Dir); !os.IsNotExist(err) {
		t.Errorf("a refused restore made the directory: %v", err)
	}
	c.restore(0, o, Backup{})
	try(cfg, o.file, 0, kv.ErrInvalid, "already")
	cfg.Dir = filepath.Dir(cfg.Dir)
	try(cfg, o.file, 0, kv.ErrInvalid, "not a data directory")
}

// TestRestoreThatWasKilled has a restore fail at each of its writes. What it
// leaves is refused, and can be restored into.
func TestRestoreThatWasKilled(t *testing.T) {
	o := original{file: emptyBackup(t)}
	c := planCluster(t, 1, Cluster{}, Config{Durability: DurabilityOS})
	cfg := c.configs[0]
	c.restore(0, o, Backup{})
	path := filepath.Join(cfg.Dir, fileDescription)
	desc, err := readDescription(vfs.Default, cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	desc.Restored.Finished = false
	half, err := desc.encode(true)
	if err = errors.Join(err, os.WriteFile(path, half, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(cfg); !errors.Is(err, kv.ErrInvalid) ||
		!strings.Contains(err.Error(), "was not finished") {
		t.Errorf("start: %v", err)
	}
	if _, err := Check(cfg.Dir, nil); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("check: %v", err)
	}
	c.restore(0, o, Backup{})
	c.start(0)
	c.awaitAll()
	c.put(0, "a", "1")
}
