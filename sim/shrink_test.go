package sim

import (
	"slices"
	"testing"
	"time"
)

// A failure that takes two clients and one crash, the second, is reduced to just those.
func TestShrinkLeavesWhatItTakes(t *testing.T) {
	cfg := Random(4)
	cfg.Load.Clients, cfg.Load.Watchers = 9, 3
	cfg.Faults.Crash, cfg.Faults.Pause = time.Second, time.Second
	runs := 0
	s := shrinker{left: 4000, instances: []int{5, 0, 0, 0, 0, 4}}
	s.try = func(candidates []Config, wanted string) (int, string) {
		runs += len(candidates)
		for i, c := range candidates {
			crashes := !slices.Contains(c.Without, 1) && c.Faults.Crash > 0
			if c.Load.Clients >= 2 && crashes && c.Salt%2 == 0 {
				return i, "stale read: r7"
			}
		}
		return -1, ""
	}
	small, text := s.shrink(cfg, "stale read: r112")
	if text != "stale read: r7" {
		t.Errorf("it ends with another failure: %q", text)
	}
	if small.Load.Clients != 2 || small.Load.Watchers != 0 || small.Load.tasks() != 0 {
		t.Errorf("too many work: %+v", small.Load)
	}
	if small.Faults.Crash == 0 || small.Faults.Pause != 0 || small.Faults.Partition != 0 {
		t.Errorf("the wrong faults are left: %+v", small.Faults)
	}
	for id := range 5 {
		if slices.Contains(small.Without, id) == (id == 1) {
			t.Errorf("crash %d: left out are %v", id, small.Without)
		}
	}
	t.Logf("%d runs", runs)
}

// What a configuration was changed by can be said in words, and done again.
func TestEditsReplay(t *testing.T) {
	base := Random(11)
	cfg := base
	cfg.Load.Clients, cfg.Load.Length, cfg.Faults.Tear = 2, 1500*time.Millisecond, 0.25
	cfg.Salt, cfg.Without, cfg.Net.Ordered = 3, []int{1, 1002}, !base.Net.Ordered
	text := cfg.editsText(&base)
	again := base
	if err := again.edit(text); err != nil {
		t.Fatal(err)
	}
	if rest := again.editsText(&cfg); rest != "" {
		t.Errorf("%s leaves a difference: %s", text, rest)
	}
	for _, wrong := range []string{"clients", "clients=x", "nobody=1", "without=1+x"} {
		if again.edit(wrong) == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Objections that differ in numbers alone are alike.
func TestKindOfFailure(t *testing.T) {
	if a, b := kindOfFailure("s1 stale read: r12"), kindOfFailure("s2 stale read: r9"); a != b {
		t.Errorf("%q is not %q", a, b)
	}
	if a, b := kindOfFailure("stale read: r12"), kindOfFailure("lost write: r12"); a == b {
		t.Errorf("both are %q", a)
	}
}
