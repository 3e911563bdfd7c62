package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/history/drive"
	"github.com/miruvor/miruvor/internal/netlab"
)

func testConfig(seed uint64, nodes int, readMode string) clusterConfig {
	return clusterConfig{
		nodes: nodes, replicas: 3, small: 1, splitAt: drive.Splits(4), readMode: readMode,
		seed: seed,
	}
}

func listed(c clusterConfig) string {
	var b strings.Builder
	newSchedule(c).list(&b, 30*time.Minute)
	return b.String()
}

// TestScheduleIsPure: a seed's schedule is always the same, and nobody else's.
func TestScheduleIsPure(t *testing.T) {
	first := listed(testConfig(7, 5, "lease"))
	if again := listed(testConfig(7, 5, "lease")); again != first {
		t.Error("the same seed has another schedule")
	}
	if other := listed(testConfig(8, 5, "lease")); other == first {
		t.Error("another seed has the same schedule")
	}
	if n := strings.Count(first, "\n"); n < 100 {
		t.Errorf("30 minutes have %d steps", n)
	}
}

// TestKinds: every kind of fault is drawn where it is possible, and only there;
// what is to be alone is, and times are in bounds.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		config clusterConfig
		not    map[string]bool
	}{
		{testConfig(1, 3, "lease"), map[string]bool{"ring": true, "clock-jump": true}},
		{testConfig(2, 5, "quorum"), nil},
		{clusterConfig{nodes: 5, readMode: "lease"}, map[string]bool{
			"full-disk": true, "clock-jump": true,
		}},
	} {
		s, drawn := newSchedule(c.config), map[string]bool{}
		alone := map[string]bool{}
		for _, k := range kinds {
			alone[k.name] = k.alone
		}
		for range 3000 {
			st := s.next()
			drawn[st.first.kind] = true
			if st.second != nil && (alone[st.first.kind] || alone[st.second.kind]) {
				t.Fatalf("%v: not alone", &st)
			}
			if st.second != nil && st.second.begin > st.first.end {
				t.Fatalf("%v: they don't overlap", &st)
			}
			if st.length() > 20*time.Second || st.first.fault.String() == "" {
				t.Fatalf("%v takes %v", &st, st.length())
			}
		}
		for _, k := range kinds {
			if drawn[k.name] == c.not[k.name] {
				t.Errorf("%d nodes, %s: %s is drawn: %v", c.config.nodes, c.config.readMode, k.name,
					drawn[k.name])
			}
		}
	}
}

// seen is which nodes a node exchanges packets with both ways under a rule.
func seen(r rule, node, nodes int) []int {
	var list []int
	for other := range nodes {
		if !r[[2]int{node, other}].Cut && !r[[2]int{other, node}].Cut {
			list = append(list, other)
		}
	}
	return list
}

// TestShapes: each partition has the shape of its name.
func TestShapes(t *testing.T) {
	for _, nodes := range []int{3, 5, 7} {
		d := &newSchedule(testConfig(3, nodes, "lease")).draw
		a := &arena{cluster: &cluster{nodes: make([]*process, nodes)}}
		for range 50 {
			bridges := 0
			bridge := drawBridge(d).(*links).rule(context.Background(), a)
			ring := drawRing(d).(*links).rule(context.Background(), a)
			halves := drawHalves(d).(*links).rule(context.Background(), a)
			link := drawOneLink(d).(*links).rule(context.Background(), a)
			for node := range nodes {
				if len(seen(bridge, node, nodes)) == nodes {
					bridges++
				} else if n := len(seen(bridge, node, nodes)); n != nodes/2+1 {
					t.Fatalf("bridge: n%d sees %d nodes", node+1, n)
				}
				n := len(seen(ring, node, nodes))
				if nodes >= 5 && (n <= nodes/2 || n == nodes) {
					t.Fatalf("ring of %d: n%d sees %d nodes", nodes, node+1, n)
				}
				for _, other := range seen(halves, node, nodes) {
					mine, theirs := seen(halves, node, nodes), seen(halves, other, nodes)
					if len(mine) != len(theirs) || len(mine) == nodes {
						t.Fatalf("halves: %v and %v", mine, theirs)
					}
				}
			}
			if bridges != 1 || len(link) != 2 {
				t.Fatalf("%d nodes see all; %d links are cut of one", bridges, len(link))
			}
		}
	}
}

// TestVictims: rules of one node's links concern these and no others.
func TestVictims(t *testing.T) {
	a := &arena{cluster: &cluster{nodes: make([]*process, 3)}}
	of := []victim{{node: 1}}
	for want, l := range map[int]*links{
		4: {of: of, in: true, out: true}, 2: {of: of, in: true}, -2: {of: of, clients: true},
		6: {in: true, out: true, condition: netlab.Condition{Loss: 1}},
	} {
		r := l.rule(context.Background(), a)
		if len(r) != max(want, -want) {
			t.Errorf("%v: %v", l, r)
		}
		for link := range r {
			if clients := link[0] == 3 || link[1] == 3; clients != (want < 0) {
				t.Errorf("%v concerns %v", l, link)
			}
		}
	}
}

// TestConditionsAddUp: faults of one link at the same time are all felt, and one
// that ends leaves the others.
func TestConditionsAddUp(t *testing.T) {
	link := [2]int{0, 1}
	cut, slow := &links{}, &links{}
	a := &arena{links: map[*links]rule{
		cut:  {link: {Cut: true}},
		slow: {link: {Delay: time.Second, Loss: 0.5}},
		{}:   {link: {Delay: time.Second, Loss: 0.1}, {1, 0}: {Cut: true}},
	}}
	if got := a.condition(link); got != (netlab.Condition{
		Cut: true, Delay: 2 * time.Second, Loss: 0.5,
	}) {
		t.Errorf("together they are %+v", got)
	}
	delete(a.links, cut)
	delete(a.links, slow)
	if got := a.condition(link); got != (netlab.Condition{Delay: time.Second, Loss: 0.1}) {
		t.Errorf("what is left is %+v", got)
	}
}

// TestStalls: what takes too long counts as lost, nothing else does.
func TestStalls(t *testing.T) {
	var m machine
	m.add(1, 10*ms, 0)
	m.add(2, time.Second, -ms)
	m.add(3, 20*ms, 2*time.Second)
	m.add(4, 299*ms, 299*ms)
	if m.lost() != 3*time.Second || m.slowest() != time.Second {
		t.Errorf("lost %v, slowest %v", m.lost(), m.slowest())
	}
}

// TestClock: a clock jumps and drifts, and never goes back.
func TestClock(t *testing.T) {
	f := face{since: 1000, shown: 5000}
	if got := f.at(3_001_000); got != 3_005_000 {
		t.Errorf("a good clock shows %d", got)
	}
	f.drift = 40_000
	if got := f.at(1000 + int64(time.Second)); got != 5000+int64(time.Second)+40_000_000 {
		t.Errorf("a fast clock shows %d", got)
	}
	c := newClock()
	last := c.now()
	for i, change := range []struct {
		jump  time.Duration
		drift int64
	}{{time.Second, 0}, {0, -40_000}, {time.Hour, 40_000}, {0, 0}} {
		c.change(change.jump, change.drift)
		now := c.now()
		if gone := time.Duration(now - last); gone < change.jump {
			t.Errorf("change %d: %v passed", i, gone)
		}
		last = now
	}
}

// TestLastWords: of what a process has said, what it died of is told.
func TestLastWords(t *testing.T) {
	for _, c := range []struct{ log, want string }{
		{"", ""},
		{"before\n", ""},
		{"before\nready\nerror: the disk is full\n\n", "error: the disk is full"},
		{
			"before\nready\npanic: index 4 is missing\n\ngoroutine 1 [running]:\n",
			"panic: index 4 is missing",
		},
	} {
		if got := lastWords(strings.NewReader(c.log), int64(len("before\n"))); got != c.want {
			t.Errorf("%q: %q", c.log, got)
		}
	}
}
