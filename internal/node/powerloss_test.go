package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
)

// TestPowerLoss runs a node on the real engine and the real log under load,
// and cuts the power at a random write or sync, again and again. What the disk
// holds then must pass every check, and have every answered write.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(powerSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run := newPowerRun(t, seed, DurabilitySync)
			for range 4 {
				if err := run.cycle(); err != nil {
					t.Fatalf("seed %d, crash %d: %v", seed, run.crashes, err)
				}
			}
			t.Logf("%d crashes, %d writes answered", run.crashes, run.answered.Load())
		})
	}
}

// TestPowerLossIsSeen runs with a durability that answers without a sync. The
// test above would see what that loses.
func TestPowerLossIsSeen(t *testing.T) {
	run := newPowerRun(t, 1, DurabilityOS)
	for range 40 {
		if err := run.cycle(); err != nil {
			t.Logf("after %d crashes: %v", run.crashes, err)
			return
		}
	}
	t.Errorf("nothing was lost in %d crashes", run.crashes)
}

const (
	powerDir     = "/data/n1"
	powerWriters = 8
	powerKeys    = 5
	powerSeeds   = 6
)

// powerRun is a node's life on one disk through several crashes.
type powerRun struct {
	t   *testing.T
	rng *rand.Rand
	// durability is the node's; only DurabilitySync survives.
	durability Durability
	disk       *vfs.MemFS
	crashes    int
	answered   atomic.Int64

	mu sync.Mutex
	// begun and acked are the last number that was sent to be written to each
	// key, and the last that was answered.
	begun, acked [powerWriters * powerKeys]uint64
}

func newPowerRun(t *testing.T, seed uint64, d Durability) *powerRun {
	return &powerRun{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), durability: d, disk: vfs.NewCrashableMem(),
	}
}

// crash is a disk as the power's loss left it, and what had been answered.
type crash struct {
	disk  *vfs.MemFS
	acked [powerWriters * powerKeys]uint64
}

// cycle checks the disk, starts a node on it, compares, writes, and crashes.
func (r *powerRun) cycle() error {
	if err := r.check(); err != nil {
		return err
	}
	left, fs := r.fuse(r.rng.IntN(400))
	n, err := Start(r.config(fs))
	if err != nil {
		return err
	}
	defer func() { _ = n.Stop(context.Background()) }()
	if err := becomeReady(r.t.Context(), n); err != nil {
		return err
	}
	if err := r.compare(n); err != nil {
		return err
	}
	c, err := r.load(n, left)
	if err != nil {
		return err
	}
	r.crashes++
	r.disk, r.acked = c.disk, c.acked
	return nil
}

// check checks the disk. One that lost its power early may hold no node yet.
func (r *powerRun) check() error {
	problems, err := check(r.disk, powerDir, nil)
	if errors.Is(err, kv.ErrInvalid) && r.answered.Load() == 0 {
		return nil
	}
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("check: %v, %w", problems, err)
	}
	return nil
}

func (r *powerRun) config(fs vfs.FS) Config {
	bounds := replica.DefaultBounds()
	bounds.LogKeepEntries, bounds.LogKeepBytes = 10, 1<<10
	return Config{
		Name: "n1", Dir: powerDir, Listen: "127.0.0.1:0", Cluster: Cluster{Shards: 3},
		Durability: r.durability,
		lab:        lab{fs: fs, bounds: bounds, memtableBytes: 256 << 10, segmentBytes: 128 << 10},
	}
}

// fuse is the disk, whose power is lost before the write or sync after skip
// others. The node goes on after it, but what it does is of no account.
func (r *powerRun) fuse(skip int) (<-chan crash, vfs.FS) {
	blown := make(chan crash, 1)
	rng := rand.New(rand.NewPCG(r.rng.Uint64(), 0))
	var count atomic.Int64
	return blown, errorfs.Wrap(r.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		writes := op.Kind.ReadOrWrite() == errorfs.OpIsWrite
		if writes && count.Add(1) == int64(skip)+1 {
			r.mu.Lock()
			c := crash{acked: r.acked}
			r.mu.Unlock()
			c.disk = r.disk.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: []int{0, 30, 70, 100}[rng.IntN(4)], RNG: rng,
			})
			blown <- c
		}
		return nil
	}))
}

// load writes until the power is lost.
func (r *powerRun) load(n *Node, lost <-chan crash) (crash, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var writers sync.WaitGroup
	for i := range powerWriters {
		seed := r.rng.Uint64()
		writers.Go(func() { r.write(ctx, n, i, rand.New(rand.NewPCG(seed, 1))) })
	}
	var c crash
	var err error
	select {
	case c = <-lost:
	case err = <-n.Failed():
	}
	cancel()
	writers.Wait()
	return c, err
}

// write puts ever higher numbers to some keys of its own.
func (r *powerRun) write(ctx context.Context, n *Node, writer int, rng *rand.Rand) {
	for ctx.Err() == nil {
		slot := writer*powerKeys + rng.IntN(powerKeys)
		r.mu.Lock()
		r.begun[slot]++
		number := r.begun[slot]
		r.mu.Unlock()
		value := binary.BigEndian.AppendUint64(nil, number)
		value = append(value, strings.Repeat("x", rng.IntN(3000))...)
		_, err := kv.Put(ctx, n, kv.PutRequest{Key: powerKey(slot), Value: value})
		if err != nil {
			return // what has no answer may or may not be there
		}
		r.answered.Add(1)
		r.mu.Lock()
		r.acked[slot] = number
		r.mu.Unlock()
	}
}

// powerKey spreads the keys over the shards.
func powerKey(slot int) []byte { return []byte{byte(slot * 29), byte(slot)} }

// compare looks whether every key holds what it must. What is read once has to
// stay, so it counts as answered from then on.
func (r *powerRun) compare(n *Node) error {
	for slot := range r.acked {
		resp, err := n.Range(r.t.Context(), kv.RangeRequest{Range: kv.PointRange(powerKey(slot))})
		if err != nil {
			return fmt.Errorf("read of key %d: %w", slot, err)
		}
		number := uint64(0)
		if len(resp.KVs) > 0 {
			number = binary.BigEndian.Uint64(resp.KVs[0].Value)
		}
		if number < r.acked[slot] || number > r.begun[slot] {
			return fmt.Errorf("key %d holds number %d: %d was answered, %d was sent last",
				slot, number, r.acked[slot], r.begun[slot])
		}
		r.acked[slot] = number
	}
	return nil
}
