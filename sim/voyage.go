package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// voyage is one sailing of the fleet: seeds, for a number or a time, and what came of them.
type voyage struct {
	fleet fleet
	// seeds are simulated from first on, until there is no more time if end is set.
	first, seeds uint64
	begin, end   time.Time
	// steering has runs lean towards states that are seldom reached. like is what all
	// sorties have in common.
	steering bool
	like     sortie
	// failuresMax ends the voyage; shrinks is how many failures are shrunk, each with
	// so many runs and in so much time at most.
	failuresMax, shrinks, shrinkRuns int
	shrinkTime                       time.Duration
	log                              io.Writer
	tally                            tally
}

// run makes the voyage.
func (v *voyage) run() error {
	defer v.fleet.stop()
	h := helm{rng: rand.New(rand.NewPCG(v.first, 0xf1ee7))}
	next, spoke := v.first, time.Now()
	err := v.fleet.run(&orders{
		next: func() (sortie, bool) {
			if v.over(next) {
				return sortie{}, false
			}
			s := v.like
			s.Seed = next
			next++
			if towards := h.choose(&v.tally.runsWith); v.steering && towards != NoRare {
				s.Steer = towards.String()
			}
			return s, true
		},
		done: func(o outcome) {
			v.tally.add(o)
			if o.Err != "" {
				v.say("FAILURE %s: %.2000s\nreplay it with: %s\n", o.Sortie.short(), o.Err,
					o.Sortie.command())
			}
			if time.Since(spoke) > time.Minute {
				spoke = time.Now()
				v.say("%d seeds, %d failures, gaps: %v\n", v.tally.runs, len(v.tally.failures),
					v.tally.gaps())
			}
		},
	})
	if err != nil {
		return err
	}
	if err := v.tally.print(v.log, time.Since(v.begin)); err != nil {
		return err
	}
	for i := range v.tally.failures[:min(v.shrinks, len(v.tally.failures))] {
		if err := v.shrink(&v.tally.failures[i]); err != nil {
			return err
		}
	}
	return nil
}

func (v *voyage) over(next uint64) bool {
	if len(v.tally.failures) >= v.failuresMax {
		return true
	}
	if !v.end.IsZero() {
		return !time.Now().Before(v.end)
	}
	return next >= v.first+v.seeds
}

func (v *voyage) say(format string, args ...any) { fmt.Fprintf(v.log, format, args...) }

// shrinkSpeaks is how long it says nothing.
const shrinkSpeaks = 5 * time.Second

// shrink reduces a failure, and prints what is left of it as a story.
func (v *voyage) shrink(o *outcome) error {
	base := o.Sortie
	base.Edits = ""
	plain, err := base.config()
	if err != nil {
		return err
	}
	cfg, err := o.Sortie.config()
	if err != nil {
		return err
	}
	begin := time.Now()
	spoke, best := begin, o.Sortie.Edits
	s := shrinker{
		left: v.shrinkRuns, end: begin.Add(v.shrinkTime), instances: o.Instances,
	}
	v.say("\nshrinking for %v and %d runs at most\n", v.shrinkTime, v.shrinkRuns)
	s.try = func(candidates []Config, wanted string) (int, string) {
		list := make([]sortie, len(candidates))
		for i := range candidates {
			list[i] = base
			list[i].Edits = candidates[i].editsText(&plain)
		}
		i, text, failed := v.firstAlike(list, wanted)
		if failed != nil {
			err = failed
		}
		if i >= 0 {
			best = list[i].Edits
		}
		if time.Since(spoke) > shrinkSpeaks {
			spoke = time.Now()
			v.say("%v, %d runs: %s\n", time.Since(begin).Round(time.Second),
				v.shrinkRuns-s.left, best)
		}
		return i, text
	}
	small, text := s.shrink(cfg, o.Err)
	if err != nil {
		return err
	}
	o.Sortie, o.Err = base, text
	o.Sortie.Edits = small.editsText(&plain)
	v.say("\nshrunk in %v and %d runs: %s\n%s\n", time.Since(begin).Round(time.Second),
		v.shrinkRuns-s.left, o.Sortie.command(), text)
	return v.tell(o.Sortie)
}

// firstAlike runs sorties until one fails alike, and tells which of them was the first.
func (v *voyage) firstAlike(list []sortie, wanted string) (first int, text string, err error) {
	next, at := 0, map[sortie]int{}
	first = -1
	err = v.fleet.run(&orders{
		next: func() (sortie, bool) {
			if next == len(list) || first >= 0 {
				return sortie{}, false
			}
			at[list[next]] = next
			next++
			return list[next-1], true
		},
		done: func(o outcome) {
			alike := o.Err != "" && kindOfFailure(o.Err) == wanted
			if i := at[o.Sortie]; alike && (first < 0 || i < first) {
				first, text = i, o.Err
			}
		},
	})
	return first, text, err
}

// storyLines is how much of a shrunk run is told.
const storyLines = 80

// tell prints what happens in a run, but for what happens all the time.
func (v *voyage) tell(s sortie) error {
	s.Story = storyLines
	asked := false
	return v.fleet.run(&orders{
		next: func() (sortie, bool) {
			first := !asked
			asked = true
			return s, first
		},
		done: func(o outcome) { v.say("%s\n", o.Story) },
	})
}
