package sim

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// reportOf is a run of reads, with its trace; of the third, which reads a, the objection
// says that it is wrong. The second reads a too, all others z.
func reportOf(reads int, objection string) *Report {
	now := Time(0)
	r := &Report{Trace: newTrace(traceWhole, true)}
	r.Trace.now = func() Time { return now }
	for id := 1; id <= reads; id++ {
		key := "z"
		if id == 2 || id == 3 {
			key = "a"
		}
		op := &Op{ID: uint64(id), Range: &kv.RangeRequest{Range: kv.PointRange([]byte(key))}}
		now++
		r.History.begin(op)
		r.Trace.sayf("%v", op)
		op.RangeResponse = &kv.RangeResponse{Revision: kv.Revision(10 * id)}
		r.History.end(op)
		r.Trace.sayf("%v", op)
		for range 10 {
			r.Trace.sayf("something happens")
		}
	}
	r.Err = errors.New(objection)
	return r
}

// A story holds what the objection names and what was answered about its keys, however
// much came after; and those that were told a revision that it mentions.
func TestStoryIsAboutTheObjection(t *testing.T) {
	r := reportOf(60, "")
	r.Err = fmt.Errorf("stale read: r500 was told to somebody\n%v", r.History.Ops[2])
	told := r.Story(20)
	if n := strings.Count(told, "\n"); n > 20 {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{
		"op 3 of client 0 at n0 (5 to 0)", "op 3 of client 0 at n0 (5 to 6)",
		"op 2 of client 0 at n0 (3 to 4)", "op 50 of client 0 at n0 (99 to 100)",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is missing in\n%s", want, told)
		}
	}
	if strings.Count(told, "→") != 2 || strings.Contains(told, "op 1 of") {
		t.Errorf("the wrong lines are told or marked:\n%s", told)
	}
}

// Where nothing is named, the end is told.
func TestStoryOfNobodyIsTheEnd(t *testing.T) {
	told := reportOf(60, "two leaders").Story(30)
	if !strings.Contains(told, "op 60 of client") || strings.Contains(told, "op 3 of client") {
		t.Errorf("it is not the end:\n%s", told)
	}
}

// What docs/testing.md shows as a failure fails.
func TestExampleFails(t *testing.T) {
	doc, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`TestSeeds -mutant ([a-z-]+) -seed ([0-9]+)`)
	found := example.FindSubmatch(doc)
	if found == nil {
		t.Fatal("docs/testing.md has no example of a mutant that is caught")
	}
	m, err := mutantNamed(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(string(found[2]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, Hunt(m, seed)); r.Err == nil {
		t.Errorf("nothing is wrong with %s", found[0])
	}
}
