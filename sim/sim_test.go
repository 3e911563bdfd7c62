package sim

import (
	"errors"
	"flag"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/miruvor/miruvor/internal/mutant"
)

var (
	seedFlag  = flag.Int64("seed", -1, "simulate this seed alone, and tell its story if it fails")
	seedsFlag = flag.Uint64("seeds", 40, "simulate this many seeds")
	firstFlag = flag.Uint64("first", 0, "the first of them")
	linesFlag = flag.Int("lines", 0, "print so many lines of the trace's end, of any seed; "+
		"0 is the story of a failure")
	nodesFlag  = flag.Int("nodes", 0, "nodes of the cluster; 0 leaves it to the seed")
	mutantFlag = flag.String("mutant", "", "hunt this mutant, in its own configuration")
	briefFlag  = flag.Bool("brief", false, "leave out of the trace what happens all the time")
	plainFlag  = flag.Bool("plain", false, "hunt it in the configurations of the seeds")
	steerFlag  = flag.String("steer", "", "lean towards this rare state")
	setFlag    = flag.String("set", "", "set fields of the configuration: clients=2,crash=0s")
	soundFlag  = flag.Bool("sound", false, "take the mutant's configuration, but not the mutant")
)

// run simulates; raft draws its election timeouts from what is seeded here.
func run(t *testing.T, cfg Config) *Report {
	cryptotest.SetGlobalRandom(t, cfg.Seed)
	return Run(cfg)
}

// configOf is the configuration of a seed, as the flags want it.
func configOf(t *testing.T, seed uint64) Config {
	cfg, err := sortie{Seed: seed, Steer: *steerFlag, Mutant: *mutantFlag}.config()
	if err == nil && *mutantFlag != "" && !*plainFlag {
		cfg = Hunt(cfg.Mutant, seed)
	}
	if err = errors.Join(err, cfg.edit(*setFlag)); err != nil {
		t.Fatal(err)
	}
	if *soundFlag {
		cfg.Mutant = mutant.None
	}
	if *nodesFlag > 0 {
		cfg.Shape.Nodes, cfg.Shape.Replicas = *nodesFlag, min(*nodesFlag, 3)
	}
	return cfg
}

func TestSeeds(t *testing.T) {
	first, n := *firstFlag, *seedsFlag
	switch {
	case *seedFlag >= 0:
		first, n = uint64(*seedFlag), 1
	case testing.Short():
		n = min(n, 10)
	}
	begin, events, used := time.Now(), 0, uses{}
	for seed := first; seed < first+n; seed++ {
		r := runSeed(t, seed)
		events += r.Trace.Events
		used.ofRun(r)
	}
	if n >= 40 {
		used.checkAll(t)
	}
	took := time.Since(begin)
	t.Logf("%d seeds, %d events, %.0f seeds a minute", n, events, float64(n)/took.Minutes())
}

// runSeed runs a seed, and once more for its story if something is wrong.
func runSeed(t *testing.T, seed uint64) *Report {
	cfg := configOf(t, seed)
	cfg.Trace, cfg.Brief = *linesFlag, *briefFlag
	r := run(t, cfg)
	if *linesFlag > 0 {
		t.Logf("\n%s%+v", r.Trace, cfg)
	}
	if r.Err == nil {
		if *seedFlag >= 0 || testing.Verbose() {
			t.Logf("seed %d: %d events, %d operations, trace %x",
				seed, r.Trace.Events, len(r.History.Ops), r.Trace.Hash)
		}
		return r
	}
	if *linesFlag == 0 && (*seedFlag >= 0 || testing.Verbose()) {
		cfg.Trace, cfg.Brief = traceWhole, true
		r = run(t, cfg)
		t.Logf("\n%s%+v", r.Story(storyLines), cfg)
	}
	replay := sortie{Seed: seed, Steer: *steerFlag, Edits: *setFlag}.command()
	if *mutantFlag != "" {
		replay += " -mutant " + *mutantFlag
	}
	t.Errorf("seed %d: %s\nreplay it with: %s", seed, printable(r.Err.Error()), replay)
	return r
}
