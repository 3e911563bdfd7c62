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
	// runsStruck are how many runs a fault struck.
	runsStruck [faultKinds]int
	// Of the runs, some were steered, and in some nothing goes wrong.
	runs, steered, calm int
	events              int
	deeds               deeds
	virtual             time.Duration
	failures            []outcome
}

// deeds counts what the users of clusters did, and were told.
type deeds struct {
	// Fates are those of the operations.
	Fates [Unknown + 1]int
	// Told are the events that watches were told.
	Commits, Watches, Told, Leases int
}

func (d *deeds) add(o *deeds) {
	for i, n := range o.Fates {
		d.Fates[i] += n
	}
	d.Commits += o.Commits
	d.Watches += o.Watches
	d.Told += o.Told
	d.Leases += o.Leases
}

// deedsOf are those of a run.
func deedsOf(h *History) deeds {
	d := deeds{Commits: len(h.Commits), Watches: len(h.Watchings), Leases: len(h.Leases)}
	for _, op := range h.Ops {
		d.Fates[op.Fate()]++
	}
	for _, w := range h.Watchings {
		for i := range w.Heard {
			d.Told += len(w.Heard[i].Response.Events)
		}
	}
	return d
}

func (t *tally) add(o outcome) {
	t.Coverage.add(&o.Coverage)
	t.runs++
	t.events += o.Events
	t.deeds.add(&o.Deeds)
	t.virtual += o.Virtual
	if o.Sortie.Steer != "" {
		t.steered++
	}
	if o.Calm {
		t.calm++
	}
	for f, n := range o.Coverage.Faults {
		t.runsStruck[f] += min(n, 1)
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
	t.printWork(w, took)
	fmt.Fprintf(w, "\nfault\ttimes\truns\n")
	for f := range faultKinds {
		fmt.Fprintf(w, "%v\t%d\t%d\n", f, t.Faults[f], t.runsStruck[f])
	}
	fmt.Fprintf(w, "\nrare state\ttimes\truns\tfirst seed\twhat it is\n")
	for _, r := range allRares() {
		first := "GAP"
		if t.Rares[r] > 0 {
			first = t.firstWith[r].short()
		}
		fmt.Fprintf(w, "%v\t%d\t%d\t%s\t%s\n", r, t.Rares[r], t.runsWith[r], first,
			rareTexts[r].what)
	}
	if gaps := t.gaps(); len(gaps) > 0 {
		fmt.Fprintf(w, "\ngaps, of which these seeds say nothing: %v\n", gaps)
	} else {
		fmt.Fprintf(w, "\nno gaps: each of these states was reached\n")
	}
	return w.Flush()
}

// printWork says how much was simulated, and what became of it.
func (t *tally) printWork(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "%d seeds in %v, %.0f a minute, %d failures\n", t.runs,
		took.Round(time.Second), float64(t.runs)/took.Minutes(), len(t.failures))
	fmt.Fprintf(w, "\nsimulated time\t%v, %.0f times as fast as it passed\n",
		t.virtual.Round(time.Second), t.virtual.Seconds()/took.Seconds())
	fmt.Fprintf(w, "runs\t%d with nothing but their seed, %d that lean towards a rare state, "+
		"%d in which nothing goes wrong\n", t.runs-t.steered, t.steered, t.calm)
	fmt.Fprintf(w, "events\t%d\n", t.events)
	d := &t.deeds
	fmt.Fprintf(w, "operations\t%d: %d answered, %d refused, %d of unknown outcome\n",
		d.Fates[Done]+d.Fates[Refused]+d.Fates[Unknown], d.Fates[Done], d.Fates[Refused],
		d.Fates[Unknown])
	fmt.Fprintf(w, "checked\t%d revisions, %d events told to %d watches, %d leases\n",
		d.Commits, d.Told, d.Watches, d.Leases)
}

// short names a sortie in a table.
func (s sortie) short() string {
	text := fmt.Sprint(s.Seed)
	if s.Steer != "" {
		text += " -steer " + s.Steer
	}
	return text
}
