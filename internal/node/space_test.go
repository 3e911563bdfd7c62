package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

const mib = 1 << 20

func TestReserve(t *testing.T) {
	for _, test := range []struct{ totalMiB, reserveMiB, partMiB int64 }{
		{32, 16, 4},
		{64, 16, 4},
		{256, 64, 4},
		{1024, 128, 16},
		{4096, 204, 64},
		{100 << 10, 256, 64},
		{1 << 20, 256, 64},
	} {
		reserve, part := reserveOf(test.totalMiB*mib)/mib, partOf(test.totalMiB*mib)/mib
		if reserve != test.reserveMiB || part != test.partMiB {
			t.Errorf("of %d MiB, %d are kept free, and parts have %d", test.totalMiB, reserve, part)
		}
	}
}

// tryPut reports how a put of a node fares.
func (c *testCluster) tryPut(i int, key string) error {
	_, err := kv.Put(c.t.Context(), c.nodes[i], kv.PutRequest{
		Key: []byte(key), Value: []byte("v"),
	})
	return err
}

// refuses tells if a node takes puts.
func (c *testCluster) refuses(i int) error {
	if err := c.tryPut(i, "refused?"); !errors.Is(err, kv.ErrNoSpace) {
		return fmt.Errorf("node %d puts: %v", i+1, err)
	}
	return nil
}

// TestFullDisk: a node whose disk is nearly full has the whole cluster refuse puts,
// until there is room and somebody has cleared the alarm.
func TestFullDisk(t *testing.T) {
	c := newClusterOf(t, 4, Cluster{}, Config{Durability: DurabilityMemory})
	c.awaitAll()
	c.put(0, "a", "v")
	c.nodes[1].dir.fs.(*vfs.MemFS).TestingSetDiskUsage(vfs.DiskUsage{
		AvailBytes: 100 * mib, TotalBytes: 10 << 30,
	})
	full := kv.Alarm{Node: 2, Kind: kv.AlarmNoSpace}
	for i, n := range c.nodes { // the last has no replica of the system shard
		c.await("puts to be refused", func() error { return c.refuses(i) })
		c.await("the alarm", func() error {
			if status := c.status(i); !slices.Equal(status.Alarms, []kv.Alarm{full}) {
				return fmt.Errorf("node %d has alarms %v", i+1, status.Alarms)
			}
			return nil
		})
		if err := c.tryPut(i, "a"); !strings.Contains(err.Error(), "node 2, n2") {
			t.Errorf("it does not tell which node is full: %v", err)
		}
		if got := c.get(i, "a"); got != "v" {
			t.Errorf("node %d reads %q", i+1, got)
		}
		if _, err := n.LeaseGrant(t.Context(), kv.LeaseGrantRequest{}); !errors.Is(
			err, kv.ErrNoSpace) {
			t.Errorf("node %d grants a lease: %v", i+1, err)
		}
	}
	// While there is no room, the alarm does not stay cleared.
	if changed, err := c.nodes[3].ClearAlarm(t.Context(), full); err != nil || !changed {
		t.Fatalf("cleared: %v, %v", changed, err)
	}
	c.await("the alarm again", func() error {
		list, err := c.nodes[0].Alarms(t.Context())
		if !slices.Contains(list, full) {
			return fmt.Errorf("alarms are %v, %w", list, err)
		}
		return nil
	})
	c.nodes[1].dir.fs.(*vfs.MemFS).TestingSetDiskUsage(vfs.DiskUsage{
		AvailBytes: 8 << 30, TotalBytes: 10 << 30,
	})
	c.await("room", func() error {
		if c.nodes[1].space.full.Load() {
			return errors.New("the second node is full")
		}
		return nil
	})
	if err := c.refuses(0); err != nil {
		t.Errorf("it is up to somebody to clear the alarm: %v", err)
	}
	if _, err := c.nodes[0].ClearAlarm(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	for i := range c.nodes {
		c.await("puts to be taken", func() error { return c.tryPut(i, "b") })
	}
}

// TestQuota: an engine above its quota is as good as a full disk, and deletions
// and compaction make room.
func TestQuota(t *testing.T) {
	t.Parallel()
	const quota = 24 * mib
	c := newClusterOf(t, 1, Cluster{}, Config{
		Durability: DurabilityMemory, Upkeep: Upkeep{QuotaBytes: quota},
		lab: lab{memtableBytes: 1 << 20},
	})
	c.awaitReady(0)
	n := c.nodes[0]
	value := noise(64 << 10)
	var err error
	for i := 0; err == nil && i < 4*quota/len(value); i++ {
		key := fmt.Appendf(nil, "k%d", i)
		_, err = kv.Put(t.Context(), n, kv.PutRequest{Key: key, Value: value})
	}
	if !errors.Is(err, kv.ErrNoSpace) {
		t.Fatalf("the quota is not kept: %v", err)
	}
	status := c.status(0)
	if s := status.Storage; s.QuotaBytes != quota || s.Bytes <= quota || s.Bytes > 3*quota ||
		s.InUseBytes > s.Bytes {
		t.Errorf("the status has %+v", s)
	}
	deleted, err := kv.Delete(t.Context(), n, kv.DeleteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Compact(t.Context(), deleted.Revision); err != nil {
		t.Fatal(err)
	}
	c.await("the space to come back", func() error {
		if n.space.full.Load() {
			return fmt.Errorf("%+v", *n.space.seen.Load())
		}
		return nil
	})
	// A compaction of the engine writes before it frees, so it may pass the quota
	// once more and raise the alarm again: then it is cleared again.
	c.await("puts to be taken", func() error {
		alarm := kv.Alarm{Node: 1, Kind: kv.AlarmNoSpace}
		if _, err := n.ClearAlarm(t.Context(), alarm); err != nil {
			return err
		}
		return c.tryPut(0, "b")
	})
}

// noise does not compress.
func noise(size int) []byte {
	b := make([]byte, size)
	seed := uint32(1)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}
