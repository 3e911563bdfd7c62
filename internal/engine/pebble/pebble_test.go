package pebble

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/enginetest"
)

const testDir = "db"

// disks are the file systems of the engines that a test has open.
type disks struct {
	byEngine sync.Map // engine.Engine → *vfs.MemFS
	options  Options
}

func (d *disks) open(t *testing.T, fs *vfs.MemFS) engine.Engine {
	t.Helper()
	opts := d.options
	opts.FS = fs
	e, err := Open(testDir, opts)
	if err != nil {
		t.Fatal(err)
	}
	d.byEngine.Store(e, fs)
	return e
}

func (d *disks) fs(e engine.Engine) *vfs.MemFS {
	fs, _ := d.byEngine.Load(e)
	return fs.(*vfs.MemFS)
}

// crash opens what is left of e's disk: all that was synced and a random
// part of what was not.
func (d *disks) crash(t *testing.T, e engine.Engine, rng *rand.Rand) engine.Engine {
	t.Helper()
	return d.open(t, d.fs(e).CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rng.IntN(101),
		RNG:                 rng,
	}))
}

func (d *disks) reopen(t *testing.T, e engine.Engine) engine.Engine {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return d.open(t, d.fs(e))
}

func (d *disks) subject() enginetest.Subject {
	return enginetest.Subject{
		Open: func(t *testing.T) engine.Engine {
			t.Helper()
			return d.open(t, vfs.NewCrashableMem())
		},
		Crash:  d.crash,
		Reopen: d.reopen,
	}
}

func TestConformance(t *testing.T) {
	d := &disks{options: Options{CacheBytes: 4 << 20, MemtableBytes: 1 << 20}}
	enginetest.Run(t, d.subject())
}

// TestConformanceTiny flushes and compacts all the time.
func TestConformanceTiny(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	d := &disks{options: Options{CacheBytes: 64 << 10, MemtableBytes: 32 << 10}}
	enginetest.Run(t, d.subject())
}
