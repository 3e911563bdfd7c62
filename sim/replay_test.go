package sim

import "testing"

// A seed takes the same way each time, to the last event; another takes
// another.
func TestSeedReplays(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := range uint64(8) {
		first, second := run(t, Random(seed)), run(t, Random(seed))
		if first.Trace.Hash != second.Trace.Hash || first.Trace.Events != second.Trace.Events {
			t.Errorf("seed %d: %d events, hash %x; again: %d events, hash %x", seed,
				first.Trace.Events, first.Trace.Hash, second.Trace.Events, second.Trace.Hash)
		}
		if other, ok := seen[first.Trace.Hash]; ok {
			t.Errorf("seeds %d and %d took the same way", other, seed)
		}
		seen[first.Trace.Hash] = seed
	}
}

// Keeping the trace changes nothing of what happens.
func TestTraceOnlyWatches(t *testing.T) {
	cfg := Random(3)
	plain := run(t, cfg)
	cfg.Trace = 100
	wordy := run(t, cfg)
	if plain.Trace.Hash != wordy.Trace.Hash {
		t.Errorf("hash %x without lines, %x with them", plain.Trace.Hash, wordy.Trace.Hash)
	}
	if n := len(wordy.Trace.String()); n == 0 {
		t.Error("no lines were kept")
	}
}
