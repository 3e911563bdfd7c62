package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// scene is what was wrong with the cluster at a time.
func (r *report) scene(at time.Duration) string {
	for i := range r.done {
		d := &r.done[i]
		switch {
		case at < d.began || at > d.healed+d.recovered:
		case at <= d.healed:
			return d.String()
		default:
			return "after " + d.String()
		}
	}
	return "no fault at work"
}

// tally is what a kind of faults did to the cluster, alone.
type tally struct {
	times, answered, changes int
	time, recovered          time.Duration
}

// writeKinds tells how the cluster bore each kind of faults, of those that no other
// overlapped with.
func (r *report) writeKinds(b *strings.Builder) {
	b.WriteString("## Kinds of faults\n\nAlone, not while another was at work.\n\n" +
		"| | times | answered a second | leader changes | well again after, at most |\n" +
		"|---|---:|---:|---:|---:|\n")
	for _, k := range kinds {
		var t tally
		for i := range r.done {
			d := &r.done[i]
			if d.first.kind != k.name || d.second != nil {
				continue
			}
			t.times++
			t.time += d.healed - d.began
			t.answered += count(r.answers, d.began, d.healed)
			t.changes += r.changes(d)
			t.recovered = max(t.recovered, d.recovered)
		}
		if t.times > 0 {
			fmt.Fprintf(b, "| %s | %d | %.0f | %d | %v |\n", k.name, t.times,
				float64(t.answered)/t.time.Seconds(), t.changes, t.recovered.Round(ms))
		}
	}
	b.WriteString("\n")
}

// changes are how often a shard got another leader in a step or after it.
func (r *report) changes(d *doneStep) int {
	n := 0
	for _, c := range r.sampler.changes {
		if c.at >= d.began && c.at <= d.healed+d.recovered {
			n++
		}
	}
	return n
}

// answered is how many calls were answered a second.
func (r *report) answered(from, to time.Duration) float64 {
	return float64(count(r.answers, from, to)) / max(to-from, ms).Seconds()
}

// count is how many of some times, in order, lie in [from, to).
func count(times []time.Duration, from, to time.Duration) int {
	first, _ := slices.BinarySearch(times, from)
	end, _ := slices.BinarySearch(times, to)
	return end - first
}

// writeSteps tells of each step how the cluster bore it.
func (r *report) writeSteps(b *strings.Builder) {
	b.WriteString("## Steps\n\n" +
		"| at | | answered a second | leader changes | longest without a write | " +
		"well again after |\n" +
		"|---:|---|---:|---:|---:|---:|\n")
	for i := range r.done {
		d := &r.done[i]
		fmt.Fprintf(b, "| %.1f s | %s | %.0f | %d | %v | %v |\n", d.began.Seconds(), &d.step,
			r.answered(d.began, d.healed), r.changes(d),
			r.longestGap(d.began, d.healed+d.recovered).Round(ms), d.recovered.Round(ms))
	}
}

// longestGap is the longest time without an answered write.
func (r *report) longestGap(from, to time.Duration) time.Duration {
	longest, last := time.Duration(0), from
	first, _ := slices.BinarySearch(r.writes, from)
	for _, at := range r.writes[first:] {
		if at >= to {
			break
		}
		longest, last = max(longest, at-last), at
	}
	return max(longest, to-last)
}
