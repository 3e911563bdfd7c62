package sim

import (
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/mutant"
)

// huntSeeds is how many seeds a mutant may take to be caught.
const huntSeeds = 150

// TestMutants breaks one rule of the core after the other, and requires that
// some run objects. A checker that nothing can trip proves nothing.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute")
	}
	for _, m := range mutant.All() {
		t.Run(m.String(), func(t *testing.T) {
			begin := time.Now()
			for seed := range uint64(huntSeeds) {
				r := run(t, Hunt(m, seed))
				if r.Err != nil {
					t.Logf("caught by seed %d in %v: %.300v", seed, time.Since(begin), r.Err)
					return
				}
			}
			t.Errorf("survived %d seeds", huntSeeds)
		})
	}
}

// Without a mutant the same profiles find nothing.
func TestHuntersFindNothingInSoundCode(t *testing.T) {
	for _, m := range mutant.All() {
		cfg := Hunt(m, 1000)
		cfg.Mutant = mutant.None
		if r := run(t, cfg); r.Err != nil {
			t.Errorf("profile of %v: %v", m, r.Err)
		}
	}
}
