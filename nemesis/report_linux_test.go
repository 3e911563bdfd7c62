package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/netlab"
)

// reported is a run of twenty seconds: a write every second but while one link is
// cut, from 5 s to 10 s, when there is but one; and a problem then.
func reported() *run {
	r := &run{
		config: clusterConfig{nodes: 3, replicas: 3, readMode: "lease", mutant: mutant.ApplyTwice},
		ended:  20 * time.Second, history: history.New(),
	}
	r.arena = newArena(&cluster{
		network: netlab.New(netip.MustParsePrefix("10.0.0.0/24"), 1),
		nodes:   make([]*process, 3),
	}, r.history, r.observe)
	for i := range 20 {
		if i > 5 && i < 10 {
			continue
		}
		at := time.Duration(i) * time.Second
		r.history.Record(&history.Call{
			Request: history.Request{Plain: true, Then: []history.Action{{Kind: history.Put}}},
			Begin:   at, End: at + ms, Outcome: history.Answered,
		})
	}
	r.done = []doneStep{{
		step: step{first: planned{
			kind: "one-link", end: 5 * time.Second,
			fault: &links{name: "one-link", cut: between([]int{0}, []int{1})},
		}},
		began: 5 * time.Second, healed: 10 * time.Second, recovered: time.Second,
	}}
	r.sampler.changes = []change{{at: 6 * time.Second}, {at: 10500 * ms}, {at: 12 * time.Second}}
	r.problems = []*history.Problem{{At: 7 * time.Second, Text: "n2 has ended by itself"}}
	return r
}

// TestReport: what a reader looks for is there, in the right places.
func TestReport(t *testing.T) {
	var text, picture strings.Builder
	r := newReport(reported(), &history.Verdict{Problems: []*history.Problem{
		{At: 3 * time.Second, Text: "a stale read"}, {At: 10500 * ms, Text: "a lost write"},
	}})
	if err := r.writeText(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.chart().WriteSVG(&picture); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"seed 0: 3 problems", "-mutant apply-twice", "| answered a second | 1 |",
		"| longest time without a write | 5s |",
		"**At 3.0 s** (no fault at work)\n\n```\na stale read",
		"**At 7.0 s** (one-link: 1→2 2→1 for 5s)\n\n```\nn2 has",
		"**At 10.5 s** (after one-link: 1→2 2→1 for 5s)\n\n```\na lost",
		"| one-link | 1 | 0 | 2 | 1s |",
		"| 5.0 s | one-link: 1→2 2→1 for 5s | 0 | 2 | 5s | 1s |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Index(text.String(), "stale") > strings.Index(text.String(), "n2 has ended") {
		t.Error("problems are not in the order of time")
	}
	if n := strings.Count(picture.String(), `class="mark"`); n != 15 {
		t.Errorf("%d marks, want 3 in each of 5 panels", n)
	}
	if t.Failed() {
		t.Log(text.String())
	}
}

// TestNames: kinds of faults and bugs are called by their names, and by no others.
func TestNames(t *testing.T) {
	if only, err := kindsNamed("kill,bridge"); err != nil || len(only) != 2 {
		t.Errorf("%v %v", only, err)
	}
	if _, err := kindsNamed("kill,flood"); err == nil {
		t.Error("there is no flood")
	}
	if m, err := mutantNamed("apply-twice"); err != nil || m != mutant.ApplyTwice {
		t.Errorf("%v %v", m, err)
	}
	if _, err := mutantNamed("none"); err == nil {
		t.Error("none is no bug")
	}
	c := testConfig(1, 5, "lease")
	c.only = []string{"restart-all"}
	for range 20 { // there is nothing to overlap with
		if st := newSchedule(c).next(); st.first.kind != "restart-all" || st.second != nil {
			t.Fatalf("%v", &st)
		}
	}
}
