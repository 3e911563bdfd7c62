package nodetest

import (
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// recorded is a small run in which all is well: two puts, a read, a swap that
// fails, and a watch that is told of the puts and of progress.
func recorded() *robust {
	first := pair{key: "a", value: "1", create: 2, mod: 2, version: 1}
	second := pair{key: "b", value: "2", create: 3, mod: 3, version: 1}
	putOf := func(p pair) request {
		return request{plain: true, then: []action{{kind: kindPut, from: p.key, value: p.value}}}
	}
	all := action{kind: kindGet, from: "a", to: "z"}
	r := &robust{calls: []*call{
		{request: putOf(first), begin: 1, end: 2, revision: 2, succeeded: true, parts: []part{{}}},
		{request: putOf(second), begin: 3, end: 4, revision: 3, succeeded: true, parts: []part{{}}},
		{
			request: request{plain: true, then: []action{all}}, begin: 5, end: 6, revision: 3,
			succeeded: true, parts: []part{{pairs: []pair{first, second}, count: 2}},
		},
		{
			request: request{ifs: []compare{{"a", 9}}, then: putOf(second).then}, begin: 7, end: 8,
			revision: 3,
		},
	}}
	watch := func() *watching {
		return &watching{start: 1, prevKV: true, from: "\x00", to: "\x00", told: []told{
			{at: 2, revision: 2, events: []event{{pair: first}}},
			{at: 4, revision: 3, events: []event{{pair: second}}},
			{at: 9, revision: 3, progress: true},
		}}
	}
	r.collectors = []*watching{watch()}
	r.watches = []*watching{watch()}
	return r
}

// askPast makes a read one of the state at 1, when there was nothing.
func (c *call) askPast(err error) {
	c.request.revision, c.err, c.parts = 1, err, []part{{}}
}

// TestVerdict breaks a history in many ways, and each is noticed.
func TestVerdict(t *testing.T) {
	if v := recorded().judge(); len(v.problems) > 0 {
		t.Fatalf("all is well, but %v", v.problems)
	}
	for want, breaks := range map[string]func(r *robust){
		"no watch saw this write":  func(r *robust) { r.calls[1].revision = 4 },
		"watches saw":              func(r *robust) { r.calls[1].then[0].value = "3" },
		"should have been":         func(r *robust) { r.calls[2].parts[0].count = 3 },
		"succeeded true":           func(r *robust) { r.calls[3].ifs[0].mod = 2 },
		"nobody did":               func(r *robust) { r.calls = r.calls[1:] },
		"two writes have":          func(r *robust) { r.calls = append(r.calls, r.calls[0]) },
		"was refused, but":         func(r *robust) { r.calls[0].err = rpctypes.ErrCompacted },
		"before what was answered": func(r *robust) { r.calls[0].begin, r.calls[0].end = 5, 6 },
		"porcupine":                func(r *robust) { r.calls[2].revision = 2 },
		"response 1 at 3":          func(r *robust) { r.watches[0].told[1].events[0].value = "x" },
		"with 0 events lacks":      func(r *robust) { r.watches[0].told[1].events = nil },
		"after one at 3":           func(r *robust) { r.watches[0].told[2].revision = 2 },
		"the event is": func(r *robust) {
			r.collectors[0].told[0].events[0].version = 2
		},
		"client -2":              func(r *robust) { r.watches[0].told[2].at = 2 },
		"with 1 events lacks":    func(r *robust) { r.watches[0].told[0].revision = 3 },
		"nobody has forgotten 1": func(r *robust) { r.calls[2].askPast(rpctypes.ErrCompacted) },
		"1 was forgotten before": func(r *robust) {
			r.calls[2].askPast(nil)
			r.compacts = []*call{{request: request{revision: 2}, begin: 1, end: 2}}
		},
	} {
		r := recorded()
		breaks(r)
		v, found := r.judge(), false
		for _, problem := range v.problems {
			found = found || strings.Contains(problem.Error(), want)
		}
		if !found {
			t.Errorf("want %q, got %v", want, v.problems)
		}
	}
}
