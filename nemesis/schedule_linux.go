package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// step is a fault, or two that overlap.
type step struct {
	// pause comes before it, in which nothing is wrong.
	pause time.Duration
	first planned
	// second begins within first, if it is there.
	second *planned
}

// planned is a fault with its time. begin is after the step's.
type planned struct {
	kind       string
	begin, end time.Duration
	fault      fault
}

func (p *planned) String() string {
	if p.end == p.begin {
		return p.fault.String()
	}
	return fmt.Sprintf("%s for %v", p.fault, (p.end - p.begin).Round(time.Millisecond))
}

func (s *step) String() string {
	text := s.first.String()
	if s.second != nil {
		text += fmt.Sprintf("; after %v %v", s.second.begin.Round(time.Millisecond), s.second)
	}
	return text
}

// length is the time of the step without its pause.
func (s *step) length() time.Duration {
	if s.second != nil {
		return max(s.first.end, s.second.end)
	}
	return s.first.end
}

// schedule draws steps without end, the same ones for the same draw.
type schedule struct {
	draw
	kinds []kind
}

// draw is what faults are drawn from.
type draw struct {
	*rand.Rand
	nodes, shards int
	// small is how many of the last nodes have a small disk.
	small int
	// untrusted says that the nodes do not go by their clocks.
	untrusted bool
}

// kind is a way to draw faults.
type kind struct {
	name string
	// weight is how often it is drawn, beside the others.
	weight int
	// alone says that nothing may overlap with it.
	alone bool
	// least and most bound its time.
	least, most time.Duration
	draw        func(d *draw) fault
}

func newSchedule(c clusterConfig) *schedule {
	s := &schedule{draw: draw{
		Rand:  rand.New(rand.NewPCG(c.seed, 1)),
		nodes: c.nodes, shards: len(c.splitAt) + 1, small: c.small, untrusted: c.untrusted(),
	}}
	for _, k := range kinds {
		if s.possible(k.name) && (len(c.only) == 0 || slices.Contains(c.only, k.name)) {
			s.kinds = append(s.kinds, k)
		}
	}
	return s
}

// possible reports whether a kind makes sense for these nodes.
func (s *schedule) possible(name string) bool {
	switch name {
	case "full-disk":
		return s.small > 0
	case "clock-jump":
		return s.untrusted
	case "ring":
		return s.nodes >= 5
	}
	return true
}

// next draws the next step.
func (s *schedule) next() step {
	st := step{pause: s.between(time.Second, 5*time.Second)}
	k := s.kind(func(kind) bool { return true })
	st.first = s.plan(k)
	fits := func(o kind) bool { return !o.alone && o.name != k.name }
	if k.alone || !slices.ContainsFunc(s.kinds, fits) || s.IntN(3) > 0 {
		return st
	}
	other := s.kind(fits)
	second := s.plan(other)
	at := time.Duration(s.Int64N(int64(st.first.end) + 1))
	second.begin, second.end = at, at+second.end
	st.second = &second
	return st
}

// kind draws one of the kinds that fit.
func (s *schedule) kind(fits func(kind) bool) kind {
	sum := 0
	for _, k := range s.kinds {
		if fits(k) {
			sum += k.weight
		}
	}
	n := s.IntN(sum)
	for _, k := range s.kinds {
		if !fits(k) {
			continue
		}
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("nemesis: no kind fits")
}

func (s *schedule) plan(k kind) planned {
	p := planned{kind: k.name, fault: k.draw(&s.draw)}
	if k.most > 0 {
		p.end = s.between(k.least, k.most)
	}
	return p
}

// between draws a time, short ones more often.
func (d *draw) between(least, most time.Duration) time.Duration {
	f := d.Float64()
	return (least + time.Duration(f*f*float64(most-least))).Truncate(time.Millisecond)
}

// chance is true in one of n cases.
func (d *draw) chance(n int) bool { return d.IntN(n) == 0 }

// victim draws a node, often one that will lead something.
func (d *draw) victim() victim {
	if d.chance(2) {
		return victim{leads: true, shard: d.IntN(d.shards + 1)} // 0 is the system shard
	}
	return victim{node: d.IntN(d.nodes)}
}

// several draws from one node to a minority, now and then all.
func (d *draw) several() []victim {
	n := 1
	switch {
	case d.chance(8):
		n = d.nodes
	case d.chance(3):
		n = 1 + d.IntN((d.nodes-1)/2)
	}
	if n == 1 {
		return []victim{d.victim()}
	}
	var list []victim
	for _, node := range d.Perm(d.nodes)[:n] {
		list = append(list, victim{node: node})
	}
	return list
}

// list prints the steps of a time, as if nothing needed any to recover.
func (s *schedule) list(w io.Writer, total time.Duration) {
	var at time.Duration
	for {
		st := s.next()
		at += st.pause
		if at+st.length() > total {
			return
		}
		fmt.Fprintf(w, "%8.1fs  %v\n", at.Seconds(), &st)
		at += st.length()
	}
}
