package raftlog

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// faultRun opens a log and works on it until the injected error shows. It
// returns the states that a recovery may find, and whether there was an error.
func faultRun(t *testing.T, fs vfs.FS, seed uint64) ([]model, error) {
	t.Helper()
	states := []model{{}}
	opts := Options{FS: fs, Dir: "raft", SegmentBytes: segmentBytesMin, Salt: 9}
	l, err := Open(opts)
	if err != nil {
		return states, err
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for range 25 {
		next := states[len(states)-1].clone()
		rec := next.randomRecord(rng, 3, 600)
		next.apply(rec)
		states = append(states, next)
		if err = l.Append([]Record{rec}); err != nil {
			break
		}
		if err = l.Sync(); err != nil {
			break
		}
		states = states[len(states)-1:]
		if g := next[rec.Shard]; g.last > g.base {
			l.Group(rec.Shard).Truncate(g.last)
			next.truncate(rec.Shard, g.last)
		}
	}
	return states, errors.Join(err, l.Close())
}

// TestFaults fails each operation on the file system in turn, then crashes:
// the log must open again and hold everything that was synced.
func TestFaults(t *testing.T) {
	step := int32(1)
	if testing.Short() {
		step = 5
	}
	for n := int32(0); ; n += step {
		fs := vfs.NewCrashableMem()
		ops := int32(0)
		broken := errorfs.Wrap(fs, errorfs.InjectorFunc(func(errorfs.Op) error {
			if ops++; ops == n+1 {
				return errors.New("boom")
			}
			return nil
		}))
		states, err := faultRun(t, broken, 1)
		if ops <= n {
			if n < 100 {
				t.Fatalf("the run has only %d operations", n)
			}
			return
		}
		if errors.Is(err, kv.ErrCorrupt) {
			t.Fatalf("fault %d: taken for damage: %v", n, err)
		}
		rng := rand.New(rand.NewPCG(uint64(n), 3))
		image := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		l, err := Open(Options{FS: image, Dir: "raft", SegmentBytes: segmentBytesMin, Salt: 9})
		if err != nil {
			t.Fatalf("fault %d: %v", n, err)
		}
		var diffs []string
		for _, m := range states {
			diffs = append(diffs, m.diff(l, true))
			if diffs[len(diffs)-1] == "" {
				diffs = nil
				break
			}
		}
		if diffs != nil {
			t.Fatalf("fault %d: %q", n, diffs)
		}
		must(t, l.Close())
	}
}
