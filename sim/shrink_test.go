package sim

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A failure that takes two clients and one crash, the second, is reduced to just those.
func TestShrinkLeavesWhatItTakes(t *testing.T) {
	cfg := Random(4)
	cfg.Load.Clients, cfg.Load.Watchers = 9, 3
	cfg.Faults.Crash, cfg.Faults.Pause = time.Second, time.Second
	runs := 0
	s := shrinker{
		left: 4000, end: time.Now().Add(time.Hour), instances: []int{5, 0, 0, 0, 0, 4},
	}
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

// What is unknown is refused with what there is.
func TestEditsNameTheFields(t *testing.T) {
	err := new(Config).edit("client=2")
	if err == nil || !strings.Contains(err.Error(), "clients, counters, crash") {
		t.Errorf("the objection is %v", err)
	}
}

// Without time nothing is tried.
func TestShrinkEnds(t *testing.T) {
	s := shrinker{left: 4000, end: time.Now()}
	s.try = func([]Config, string) (int, string) {
		t.Fatal("it goes on")
		return 0, ""
	}
	if _, text := s.shrink(Random(4), "stale read"); text != "stale read" {
		t.Errorf("it ends with %q", text)
	}
}

// Every fault can be set by name, so the shrinker leaves each out: whatever of Faults is a
// mean time or a probability, but for Down.
func TestEveryFaultHasAName(t *testing.T) {
	var cfg Config
	named := map[any]bool{&cfg.Faults.Down: true}
	for _, field := range cfg.faultFields() {
		named[field] = true
	}
	f := &cfg.Faults
	for _, group := range []any{f, &f.Strikes, &f.Odds} {
		v := reflect.ValueOf(group).Elem()
		for i := range v.NumField() {
			kind := v.Field(i).Kind()
			if kind != reflect.Struct && !named[v.Field(i).Addr().Interface()] {
				t.Errorf("%v.%s has no name", v.Type(), v.Type().Field(i).Name)
			}
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
