package node

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// cutAt is disk, of which cut is a copy as a loss of power before the n'th
// write or sync would leave it; writes counts them.
type cutAt struct {
	disk, cut *vfs.MemFS
	writes    atomic.Int64
}

func (c *cutAt) fs(n int64, rng *rand.Rand) vfs.FS {
	return errorfs.Wrap(c.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.writes.Add(1) == n {
			c.cut = c.crash([]int{0, 50, 100}[rng.IntN(3)], rng)
		}
		return nil
	}))
}

func (c *cutAt) crash(percent int, rng *rand.Rand) *vfs.MemFS {
	return c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

// TestRestoreSurvivesPowerLoss cuts the power at some writes of a restore. What
// is left is nothing, or a restore that was not finished, which is refused and
// can begin again; and when Restore returned, all of it.
func TestRestoreSurvivesPowerLoss(t *testing.T) {
	t.Parallel()
	o := takeOriginal(t)
	unfinished := 0
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for n := int64(1); ; n += 1 + rng.Int64N(15) {
		c := &cutAt{disk: vfs.NewCrashableMem()}
		restoreOn(t, o, c.fs(n, rng))
		if c.cut == nil {
			t.Logf("%d writes, after %d of them it was not finished", c.writes.Load(), unfinished)
			break
		}
		wholeOn(t, c.crash(0, rng))
		if !isWhole(t, c.cut) {
			unfinished++
			restoreOn(t, o, c.cut)
		}
		wholeOn(t, c.cut)
	}
	if unfinished == 0 {
		t.Error("the power was never lost too early")
	}
}

// wholeOn wants a restored directory, with nothing wrong.
func wholeOn(t *testing.T, disk *vfs.MemFS) {
	t.Helper()
	problems, err := check(disk, powerDir, nil)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	if desc, err := readDescription(disk, powerDir); err != nil || !desc.Restored.Finished {
		t.Fatalf("%+v, %v", desc, err)
	}
}

// isWhole reports whether the directory may be started.
func isWhole(t *testing.T, disk *vfs.MemFS) bool {
	t.Helper()
	desc, err := readDescription(disk, powerDir)
	if err != nil {
		t.Fatal(err)
	}
	if desc == nil {
		return false // not even begun
	}
	n, err := Start(restoreConfig(disk))
	if err == nil {
		err = n.Stop(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), "was not finished") {
		t.Fatal(err)
	}
	return false
}

func restoreConfig(fs vfs.FS) Config {
	return Config{
		Name: "n1", Dir: powerDir, Listen: "127.0.0.1:0", Cluster: Cluster{Shards: 3},
		lab: lab{fs: fs, memtableBytes: 256 << 10, segmentBytes: 128 << 10},
	}
}

func restoreOn(t *testing.T, o original, fs vfs.FS) {
	t.Helper()
	_, err := Restore(restoreConfig(fs), Backup{Name: "f", File: bytes.NewReader(o.file)})
	if err != nil {
		t.Fatal(err)
	}
}
