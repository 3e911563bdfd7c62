package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/mutant"
)

// problemsMax is how many problems are told, and problemBytesMax how much of each.
const (
	problemsMax     = 30
	problemBytesMax = 3000
)

// report is what a run came to.
type report struct {
	*run
	verdict *history.Verdict
	// problems are those of the run and of the verdict, in the order of time.
	problems []*history.Problem
	// answers are the ends of answered calls, in order, and writes those of writes.
	answers, writes []time.Duration
}

func newReport(r *run, v *history.Verdict) *report {
	rep := &report{run: r, verdict: v, problems: r.problems}
	if v != nil {
		rep.problems = slices.Concat(r.problems, v.Problems)
	}
	slices.SortStableFunc(rep.problems, func(a, b *history.Problem) int {
		return cmp.Compare(a.At, b.At)
	})
	for _, c := range r.history.Calls() {
		if c.Outcome != history.Answered {
			continue
		}
		rep.answers = append(rep.answers, c.End)
		if c.Changes() {
			rep.writes = append(rep.writes, c.End)
		}
	}
	slices.Sort(rep.answers)
	slices.Sort(rep.writes)
	return rep
}

// write writes report.md and plot.svg.
func (r *report) write() error {
	for name, write := range map[string]func(io.Writer) error{
		"report.md": r.writeText, "plot.svg": r.chart().WriteSVG,
	} {
		file, err := os.Create(filepath.Join(r.config.dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// result is the report in one line.
func (r *report) result() string {
	if n := len(r.problems); n > 0 {
		return fmt.Sprintf("%d problems", n)
	}
	return "all is well"
}

func (r *report) writeText(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Nemesis, seed %d: %s\n\n", r.config.seed, r.result())
	fmt.Fprintf(&b, "    %s\n\n", r.commandLine())
	fmt.Fprintf(&b, "%d nodes, each a process with an address of its own, are under load of "+
		"etcd's clients and of HTTP, while faults drawn from a seed strike. Afterwards all that "+
		"clients and watches were told was held against one order of all changes.\n\n",
		r.config.nodes)
	fmt.Fprintf(&b, "%s on %d processors, %s\n\n", kernel(), runtime.NumCPU(), runtime.Version())
	fmt.Fprint(&b, "![throughput, failures, latency and leaders over time](plot.svg)\n\n")
	r.writeFigures(&b)
	r.writeProblems(&b)
	r.writeKinds(&b)
	r.writeSteps(&b)
	b.WriteString("\n## What was seen\n\n```\n")
	for _, n := range r.notes {
		fmt.Fprintf(&b, "%8.1fs  %s\n", n.at.Seconds(), n.text)
	}
	b.WriteString("```\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// commandLine does the same again.
func (r *report) commandLine() string {
	c := r.config
	text := fmt.Sprintf("go run ./nemesis -time %v -seed %d -nodes %d -replicas %d -shards %d "+
		"-read-mode %s -pause %v", r.time, c.seed, c.nodes, c.replicas, len(c.splitAt)+1,
		c.readMode, r.pause)
	if len(c.only) > 0 {
		text += " -only " + strings.Join(c.only, ",")
	}
	if c.mutant != mutant.None {
		text += fmt.Sprintf(" -mutant %v", c.mutant)
	}
	return text + " -out DIR"
}

func kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(name.Release[:])
}

func (r *report) writeFigures(b *strings.Builder) {
	outcomes := map[history.Outcome]int{}
	for _, c := range r.history.Calls() {
		outcomes[c.Outcome]++
	}
	traffic := r.arena.network.Traffic()
	b.WriteString("| | |\n|---|---|\n")
	row := func(what, format string, args ...any) {
		fmt.Fprintf(b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	row("calls", "%d: %d answered, %d refused, %d without an answer",
		len(r.history.Calls()), outcomes[history.Answered],
		outcomes[history.Refused]+outcomes[history.Forgotten], outcomes[history.Unknown])
	if v := r.verdict; v != nil {
		row("revisions", "%d, up to %d", v.Revisions, r.history.Seen())
		row("watches", "%d, told %d times", v.Watches, v.Told)
	}
	row("answered a second", "%.0f", r.answered(0, r.ended))
	row("steps of faults", "%d", len(r.done))
	row("changes of leaders", "%d", len(r.sampler.changes))
	row("longest time without a write", "%v",
		r.longestGap(0, r.ended).Round(time.Millisecond))
	row("slowest fsync of a page beside it", "%v", r.machine.slowest().Round(time.Millisecond))
	row("packets", "%d carried, %d late, %d lost", traffic.Carried, traffic.Late, traffic.Lost)
	b.WriteString("\n")
}

func (r *report) writeProblems(b *strings.Builder) {
	if len(r.problems) == 0 {
		return
	}
	b.WriteString("## Problems\n\n")
	if r.verdict == nil {
		b.WriteString("The history is not complete, and was not judged.\n\n")
	}
	shown := r.problems[:min(len(r.problems), problemsMax)]
	for _, p := range shown {
		fmt.Fprintf(b, "**At %.1f s** (%s)\n\n```\n%s\n```\n\n", p.At.Seconds(), r.scene(p.At),
			p.Text[:min(len(p.Text), problemBytesMax)])
	}
	if more := len(r.problems) - len(shown); more > 0 {
		fmt.Fprintf(b, "and %d more: `go run ./nemesis -judge history.jsonl.gz` has all.\n\n", more)
	}
}
