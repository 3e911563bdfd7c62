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
	seedsFlag = flag.Uint64("seeds", 0, "simulate this many seeds")
)

func run(t *testing.T, cfg Config) *Report {
	cryptotest.SetGlobalRandom(t, cfg.Seed)
	return Run(cfg)
}

func TestSeeds(t *testing.T) {
	n := uint64(40)
	if *seedsFlag > 0 {
		n = *seedsFlag
	}
	if *seedFlag >= 0 {
		n = uint64(*seedFlag) + 1
	}
	for seed := range n {
		if *seedFlag >= 0 && uint64(*seedFlag) != seed {
			continue
		}
		begin := time.Now()
		r := run(t, Random(seed))
		if d := time.Since(begin); d > time.Second {
			t.Logf("seed %d took %v, %d events", seed, d, r.Trace.Events)
		}
		if r.Err != nil {
			cfg := Random(seed)
			cfg.Trace = *keepFlag
			r = run(t, cfg)
			if *seedFlag >= 0 {
				t.Logf("%s\n%+v", r.Trace, cfg)
			}
			t.Errorf("seed %d: %v", seed, r.Err)
			continue
		}
		if *seedFlag < 0 && !testing.Verbose() {
			continue
		}
		t.Logf("seed %d: %d events, %d ops, %x", seed, r.Trace.Events, len(r.History.Ops), r.Trace.Hash)
	}
}
