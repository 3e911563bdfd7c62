package sim

import (
	"flag"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	seedFlag  = flag.Int64("seed", -1, "simulate this seed alone")
	keepFlag  = flag.Int("lines", 400, "lines of the trace to print when a seed fails")
	seedsFlag = flag.Uint64("seeds", 40, "simulate this many seeds")
	firstFlag = flag.Uint64("first", 0, "the first of them")
)

func run(t *testing.T, cfg Config) *Report {
	cryptotest.SetGlobalRandom(t, cfg.Seed)
	return Run(cfg)
}

func TestSeeds(t *testing.T) {
	first, n := *firstFlag, *seedsFlag
	switch {
	case *seedFlag >= 0:
		first, n = uint64(*seedFlag), 1
	case testing.Short():
		n = min(n, 10)
	}
	for seed := first; seed < first+n; seed++ {
		runSeed(t, seed)
	}
}

// runSeed runs a seed, and once more for its trace if something is wrong.
func runSeed(t *testing.T, seed uint64) {
	begin := time.Now()
	r := run(t, Random(seed))
	if took := time.Since(begin); took > 10*time.Second {
		t.Logf("seed %d took %v, %d events", seed, took, r.Trace.Events)
	}
	if r.Err == nil {
		if *seedFlag >= 0 || testing.Verbose() {
			t.Logf("seed %d: %d events, %d operations, trace %x",
				seed, r.Trace.Events, len(r.History.Ops), r.Trace.Hash)
		}
		return
	}
	cfg := Random(seed)
	cfg.Trace = *keepFlag
	r = run(t, cfg)
	if *seedFlag >= 0 {
		t.Logf("%s\n%+v", r.Trace, cfg)
	}
	t.Errorf("seed %d: %v\nreplay it with: go test ./sim -run TestSeeds -seed %d", seed, r.Err, seed)
}
