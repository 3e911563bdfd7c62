package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/faultfs"
	"github.com/miruvor/miruvor/internal/kv"
)

// startOn starts a node on a disk and waits for it.
func startOn(t *testing.T, disk vfs.FS) *Node {
	t.Helper()
	n, err := Start(estateConfig(disk, 3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		at, cancel := context.WithCancel(context.Background())
		cancel() // nobody is there to take over
		_ = n.Stop(at)
	})
	if err := becomeReady(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// putAll puts numbered keys until one fails, and returns how many were answered.
func putAll(ctx context.Context, n *Node, from, most int) (int, error) {
	value := []byte(strings.Repeat("v", 1000))
	for i := from; i < from+most; i++ {
		key := fmt.Appendf([]byte{byte(i * 41)}, "%06d", i)
		if _, err := kv.Put(ctx, n, kv.PutRequest{Key: key, Value: value}); err != nil {
			return i - from, err
		}
	}
	return most, nil
}

// putUntilFailed puts keys until the node fails. It returns how many were answered,
// and the failure.
func putUntilFailed(t *testing.T, n *Node, from int) (int, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failure := make(chan error, 1)
	go func() {
		defer cancel()
		select {
		case err := <-n.Failed():
			failure <- err
		case <-ctx.Done():
			failure <- nil
		}
	}()
	count, err := putAll(ctx, n, from, 20_000)
	if err == nil {
		t.Fatal("nothing failed")
	}
	return count, <-failure
}

// wantCount makes sure that a node has the first count of putAll's keys at least.
func wantCount(t *testing.T, n *Node, count int) {
	t.Helper()
	resp, err := n.Range(t.Context(), kv.RangeRequest{Range: kv.PrefixRange(nil)})
	if err != nil || len(resp.KVs) < count {
		t.Errorf("%d keys, %v, want %d at least", len(resp.KVs), err, count)
	}
}

// TestFailedSyncIsTheEnd fails a sync of each kind of file, once. The node says which,
// and acknowledges nothing from then on, though all later syncs would succeed. What it had
// acknowledged is there after a restart.
func TestFailedSyncIsTheEnd(t *testing.T) {
	kinds := []string{"/log/", "MANIFEST", ".sst"}
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, file := range kinds {
		disk := vfs.NewCrashableMem()
		faulty := faultfs.New(disk, 1)
		n := startOn(t, faulty)
		if _, err := putAll(t.Context(), n, 0, 50); err != nil {
			t.Fatal(err)
		}
		fault := faulty.Inject(faultfs.Fault{
			Ops: faultfs.Sync, Files: file, Times: 1, Errno: syscall.EIO,
		})
		count, failure := putUntilFailed(t, n, 50)
		if !strings.Contains(failure.Error(), syscall.EIO.Error()) || fault.Hits() != 1 {
			t.Errorf("%s: %d syncs failed, then the node: %v", file, fault.Hits(), failure)
		}
		if file == "/log/" {
			if _, err := putAll(t.Context(), n, 30_000, 1); err == nil {
				t.Error("a write is acknowledged after a failed sync")
			}
		}
		left := disk.CrashClone(vfs.CrashCloneCfg{})
		wantCount(t, startOn(t, left), 50+count)
	}
}

// TestDiskThatFillsUp fills the disk under a node that did not see it coming. It ends in words,
// does not start again before there is room, and then has everything.
func TestDiskThatFillsUp(t *testing.T) {
	disk := vfs.NewCrashableMem()
	faulty := faultfs.New(disk, 1)
	n := startOn(t, faulty)
	faulty.Inject(faultfs.Fault{Ops: faultfs.Space, Errno: syscall.ENOSPC})
	count, failure := putUntilFailed(t, n, 0)
	if !strings.Contains(failure.Error(), syscall.ENOSPC.Error()) {
		t.Errorf("the node failed with %v", failure)
	}
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	again := faultfs.New(left, 1)
	full := again.Inject(faultfs.Fault{Ops: faultfs.Space, Errno: syscall.ENOSPC})
	if _, err := Start(estateConfig(again, 3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("started on a full disk: %v", err)
	}
	again.Lift(full)
	wantCount(t, startOn(t, again), count)
}

// TestReadsThatMeetDamage flips bits of what is read from tables. Each answer is right or an
// error, and the node fails with the file and the offset.
func TestReadsThatMeetDamage(t *testing.T) {
	_, e := leave(t, 3, 9)
	disk := faultfs.New(diskWith(t, e.files), 1)
	n := startOn(t, disk)
	disk.Inject(faultfs.Fault{Ops: faultfs.Read, Files: ".sst", Percent: 30, Flip: 0x20})
	failed := 0
	for _, key := range slices.Sorted(maps.Keys(e.want)) {
		resp, err := n.Range(t.Context(), kv.RangeRequest{Range: kv.PointRange([]byte(key))})
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Errorf("key %x: %v", key, err)
			}
			if failed++; failed == 3 {
				break
			}
			continue
		}
		if len(resp.KVs) != 1 || string(resp.KVs[0].Value) != e.want[key] {
			t.Fatalf("key %x is %v, want %.20q", key, resp.KVs, e.want[key])
		}
	}
	if failed == 0 {
		t.Fatal("no read met damage")
	}
	failure := (<-n.Failed()).Error()
	if !namesPlace(failure) || !strings.Contains(failure, ".sst at offset") {
		t.Errorf("the node failed with %s", failure)
	}
}
