package raftlog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// crashRun does random work on a log and crashes it now and then. After each
// crash the log must hold what some prefix of the Appends made, at least all
// that had been synced.
type crashRun struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *vfs.MemFS
	opts Options
	log  *Log
	// states are the model after each Append since the last one that is
	// known to be on disk, which is the first.
	states []model
	trace  []string
}

func (r *crashRun) current() model { return r.states[len(r.states)-1] }

func (r *crashRun) fatalf(format string, args ...any) {
	r.t.Helper()
	tail := r.trace[max(0, len(r.trace)-20):]
	r.t.Fatalf("%s\n%v", fmt.Sprintf(format, args...), tail)
}

func (r *crashRun) note(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(format, args...)+"\n")
}

func (r *crashRun) open(fs *vfs.MemFS) {
	r.t.Helper()
	r.fs, r.opts.FS = fs, fs
	problems, err := Check(fs, r.opts.Dir)
	if len(r.trace) > 1 && (err != nil || len(problems) > 0) {
		r.fatalf("check: %v, %v", problems, err)
	}
	l, err := Open(r.opts)
	if err != nil {
		r.fatalf("open: %v", err)
	}
	r.log = l
}

func (r *crashRun) append() {
	next := r.current().clone()
	var recs []Record
	for range 1 + r.rng.IntN(3) {
		rec := next.randomRecord(r.rng, 5, 1500)
		next.apply(rec)
		recs = append(recs, rec)
	}
	if err := r.log.Append(recs); err != nil {
		r.fatalf("append: %v", err)
	}
	r.states = append(r.states, next)
	r.note("append %d records, seq %d, head %d at %d", len(recs), r.log.files.nextSeq,
		r.log.files.head().head.id, r.log.files.head().end)
}

func (r *crashRun) sync() {
	if err := r.log.Sync(); err != nil {
		r.fatalf("sync: %v", err)
	}
	r.states = r.states[len(r.states)-1:]
	r.note("sync")
}

// truncate forgets entries that are surely on disk.
func (r *crashRun) truncate() {
	shard := kv.ShardID(r.rng.IntN(5))
	g := r.current().group(shard)
	if len(r.states) > 1 || g.last == g.base {
		return
	}
	index := g.base + 1 + r.rng.Uint64N(g.last-g.base)
	r.log.Group(shard).Truncate(index)
	r.current().truncate(shard, index)
	r.note("truncate %v to %d", shard, index)
}

func (r *crashRun) crash() {
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 70, 100}[r.rng.IntN(4)], RNG: r.rng}
	image := r.fs.CrashClone(cfg)
	r.note("crash %d%%", cfg.UnsyncedDataPercent)
	must(r.t, r.log.Close())
	r.open(image)
	var diffs []string
	for i := len(r.states) - 1; i >= 0; i-- {
		d := r.states[i].diff(r.log, true)
		if d == "" {
			r.adopt(r.states[i])
			return
		}
		diffs = append(diffs, d)
	}
	r.fatalf("the log holds no prefix of the appends: %q", diffs)
}

// adopt goes on from what a crash left.
func (r *crashRun) adopt(m model) {
	for shard := range m {
		first, _ := r.log.Group(shard).FirstIndex()
		m.truncate(shard, first-1)
	}
	r.states = []model{m}
}

func (r *crashRun) reopen() {
	must(r.t, r.log.Close())
	r.note("reopen")
	r.open(r.fs)
	if d := r.current().diff(r.log, true); d != "" {
		r.fatalf("after a clean stop: %s", d)
	}
	r.adopt(r.current())
}

func (r *crashRun) step() {
	switch n := r.rng.IntN(100); {
	case n < 60:
		r.append()
	case n < 80:
		r.sync()
	case n < 92:
		r.truncate()
	case n < 96:
		r.crash()
	case n < 98:
		r.reopen()
	default:
		if d := r.current().diff(r.log, false); d != "" {
			r.fatalf("running log: %s", d)
		}
	}
}

func TestCrash(t *testing.T) {
	seeds, steps := uint64(40), 300
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		r := &crashRun{
			t: t, rng: rand.New(rand.NewPCG(seed, 1)), states: []model{{}},
			opts: Options{Dir: "raft", SegmentBytes: 16 << 10, CacheBytes: 4 << 10, Salt: seed + 1},
		}
		r.note("seed %d", seed)
		r.open(vfs.NewCrashableMem())
		for range steps {
			r.step()
		}
		must(t, r.log.Close())
	}
}
