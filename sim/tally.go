package sim

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// tally adds up what came of many runs.
type tally struct {
	Coverage
	// runsWith and firstWith are how many runs reached a state, and the first sortie
	// that did.
	runsWith  [rares]int
	firstWith [rares]sortie
	runs      int
	steered   int
	events    int
	ops       int
	virtual   time.Duration
	failures  []outcome
}

func (t *tally) add(o outcome) {
	t.Coverage.add(&o.Coverage)
	t.runs++
	t.events += o.Events
	t.ops += o.Ops
	t.virtual += o.Virtual
	if o.Sortie.Steer != "" {
		t.steered++
	}
	for _, r := range allRares() {
		if o.Coverage.Rares[r] == 0 {
			continue
		}
		if t.runsWith[r]++; t.runsWith[r] == 1 {
			t.firstWith[r] = o.Sortie
		}
	}
	if o.Err != "" {
		t.failures = append(t.failures, o)
	}
}

// gaps are the states that nothing reached.
func (t *tally) gaps() []Rare {
	return slices.DeleteFunc(allRares(), func(r Rare) bool { return t.Rares[r] > 0 })
}

// print writes the whole account.
func (t *tally) print(to io.Writer, took time.Duration) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d seeds in %v, %.0f a minute, %d of them steered; %v of simulated time, "+
		"%d events, %d operations, %d failures\n", t.runs, took.Round(time.Second),
		float64(t.runs)/took.Minutes(), t.steered, t.virtual.Round(time.Second), t.events, t.ops,
		len(t.failures))
	fmt.Fprintf(w, "\nfault\ttimes\n")
	for f := range faultKinds {
		fmt.Fprintf(w, "%v\t%d\n", f, t.Faults[f])
	}
	fmt.Fprintf(w, "\nrare state\ttimes\truns\tfirst\twhat it is\n")
	for _, r := range allRares() {
		first := "GAP"
		if t.Rares[r] > 0 {
			first = t.firstWith[r].short()
		}
		fmt.Fprintf(w, "%v\t%d\t%d\t%s\t%s\n", r, t.Rares[r], t.runsWith[r], first,
			rareTexts[r].what)
	}
	if gaps := t.gaps(); len(gaps) > 0 {
		fmt.Fprintf(w, "\ngaps, which no seed reached: %v\n", gaps)
	}
	return w.Flush()
}

// short names a sortie in a table.
func (s sortie) short() string {
	text := fmt.Sprint(s.Seed)
	if s.Steer != "" {
		text += " -steer " + s.Steer
	}
	return text
}
