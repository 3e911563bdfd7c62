package history

import (
	"strings"
	"testing"
	"time"
)

// recorded is a small history in which all is well: two puts, a read, a swap that
// fails, and a watch that is told of the puts and of progress.
func recorded() *History {
	first := Pair{Key: "a", Value: "1", Create: 2, Mod: 2, Version: 1}
	second := Pair{Key: "b", Value: "2", Create: 3, Mod: 3, Version: 1}
	putOf := func(p Pair) Request {
		return Request{Plain: true, Then: []Action{{Kind: Put, From: p.Key, Value: p.Value}}}
	}
	all := Action{Kind: Get, From: "a", To: "z"}
	answered := func(c Call) *Call {
		c.Outcome = Answered
		return &c
	}
	h := &History{calls: []*Call{
		answered(Call{
			Request: putOf(first), Begin: 1, End: 2, Revision: 2, Succeeded: true,
			Parts: []Part{{}},
		}),
		answered(Call{
			Request: putOf(second), Begin: 3, End: 4, Revision: 3, Succeeded: true,
			Parts: []Part{{}},
		}),
		answered(Call{
			Request: Request{Plain: true, Then: []Action{all}}, Begin: 5, End: 6, Revision: 3,
			Succeeded: true, Parts: []Part{{Pairs: []Pair{first, second}, Count: 2}},
		}),
		answered(Call{
			Request: Request{Ifs: []Compare{{"a", 9}}, Then: putOf(second).Then}, Begin: 7, End: 8,
			Revision: 3,
		}),
	}}
	watch := func() *Watch {
		return &Watch{Start: 1, PrevKV: true, From: "\x00", To: "\x00", told: []Told{
			{At: 2, Revision: 2, Events: []Event{{Pair: first}}},
			{At: 4, Revision: 3, Events: []Event{{Pair: second}}},
			{At: 9, Revision: 3, Progress: true},
		}}
	}
	h.witnesses = []*Watch{watch()}
	h.watches = []*Watch{watch(), h.witnesses[0]}
	return h
}

// askPast makes a read one of the state at 1, when there was nothing.
func (c *Call) askPast(outcome Outcome) {
	c.At, c.Outcome, c.Parts = 1, outcome, []Part{{}}
}

// TestVerdict breaks a history in many ways, and each is noticed.
func TestVerdict(t *testing.T) {
	if v := recorded().Judge(); len(v.Problems) > 0 {
		t.Fatalf("all is well, but %v", v.Problems)
	}
	for want, breaks := range map[string]func(h *History){
		"no watch saw this write": func(h *History) { h.calls[1].Revision = 4 },
		"but watches saw":         func(h *History) { h.calls[1].Then[0].Value = "3" },
		"should have been":        func(h *History) { h.calls[2].Parts[0].Count = 3 },
		"told then [nothing]":     func(h *History) { h.calls[3].Ifs[0].Mod = 2 },
		"nobody did":              func(h *History) { h.calls = h.calls[1:] },
		"two writes have":         func(h *History) { h.calls = append(h.calls, h.calls[0]) },
		"was refused, but":        func(h *History) { h.calls[0].Outcome = Refused },
		"before what was answered": func(h *History) {
			h.calls[0].Begin, h.calls[0].End = 5, 6
		},
		"response 1,": func(h *History) {
			h.watches[0].told[1].Events[0].Value = "x"
		},
		"response 1 (0.0000 s: up to 3)": func(h *History) { h.watches[0].told[1].Events = nil },
		"comes after one at 3":           func(h *History) { h.watches[0].told[2].Revision = 2 },
		"the event is": func(h *History) {
			h.witnesses[0].told[0].Events[0].Version = 2
		},
		"was told 3 after 4":      func(h *History) { h.witnesses[0].told[0].Events[0].Mod = 4 },
		"a watch was told up to":  func(h *History) { h.watches[0].told[2].At = 2 },
		"up to 3 at 2 a = \"1\")": func(h *History) { h.watches[0].told[0].Revision = 3 },
		"nobody has forgotten 1":  func(h *History) { h.calls[2].askPast(Forgotten) },
		"1 was forgotten before": func(h *History) {
			h.calls[2].askPast(Answered)
			h.compacts = []*Call{{
				Request: Request{At: 2}, Begin: 1, End: 2, Outcome: Answered,
			}}
		},
	} {
		h := recorded()
		breaks(h)
		v, found := h.Judge(), false
		for _, problem := range v.Problems {
			found = found || strings.Contains(problem.Error(), want)
		}
		if !found {
			t.Errorf("want %q, got %v", want, v.Problems)
		}
	}
}

// TestForgottenBefore: a watch is told what was before an event, unless that was
// compacted by then.
func TestForgottenBefore(t *testing.T) {
	for _, c := range []struct {
		at, begin int64
		fine      bool
	}{{0, 0, false}, {3, 1, false}, {4, 1, true}, {5, 1, true}, {4, 42, false}} {
		h := long(5)
		w := *h.witnesses[0].told[2].Events[0].without()
		h.watches = append(h.watches, &Watch{
			Start: 4, From: "k", PrevKV: true,
			told: []Told{{At: 42, Revision: 4, Events: []Event{w}}},
		})
		if c.at > 0 {
			h.compacts = []*Call{{
				Request: Request{Kind: Compact, At: c.at}, Begin: time.Duration(c.begin),
			}}
		}
		if v := h.Judge(); (len(v.Problems) == 0) != c.fine {
			t.Errorf("compacted at %d since %d: %v", c.at, c.begin, v.Problems)
		}
	}
}

// without is an event that does not tell what was before.
func (e *Event) without() *Event {
	bare := *e
	bare.Prev = Pair{}
	return &bare
}

// long is a history of n puts to one key one after the other, each read by
// somebody.
func long(n int64) *History {
	h := &History{}
	w := &Watch{Start: 1, PrevKV: true, From: "\x00", To: "\x00"}
	var prev Pair
	for i := int64(2); i < n+2; i++ {
		p := Pair{Key: "k", Value: string(rune('a' + i%20)), Create: 2, Mod: i, Version: i - 1}
		at := 10 * time.Duration(i)
		h.calls = append(h.calls, &Call{
			Request: one(Action{Kind: Put, From: p.Key, Value: p.Value}),
			Begin:   at, End: at + 2, Outcome: Answered, Revision: i, Succeeded: true,
			Parts: []Part{{}},
		}, &Call{
			Request: one(Action{Kind: Get, From: p.Key}), Begin: at + 3, End: at + 4,
			Outcome: Answered, Revision: i, Succeeded: true,
			Parts: []Part{{Pairs: []Pair{p}, Count: 1}},
		})
		w.Tell(Told{At: at + 2, Revision: i, Events: []Event{{Pair: p, Prev: prev}}})
		prev = p
	}
	h.watches, h.witnesses = []*Watch{w}, []*Watch{w}
	return h
}

func one(a Action) Request { return Request{Plain: true, Then: []Action{a}} }

// TestPieces judges histories that porcupine gets in several pieces, at whose
// borders nothing may be lost or broken.
func TestPieces(t *testing.T) {
	const p = pieceEntries
	for _, n := range []int64{1, p - 1, p, p + 1, 2*p + 5} {
		if v := long(n).Judge(); len(v.Problems) > 0 || v.Revisions != int(n) {
			t.Errorf("%d: %d revisions, %v", n, v.Revisions, v.Problems[:min(3, len(v.Problems))])
		}
	}
	h := long(2 * pieceEntries)
	at := h.calls[2*pieceEntries-1].End // a read of the border's state, too late
	stale := *h.calls[2*pieceEntries-3]
	stale.Begin, stale.End = at+100, at+101
	h.calls = append(h.calls, &stale)
	if v := h.Judge(); len(v.Problems) == 0 {
		t.Error("a stale read at the border of two pieces is not noticed")
	}
}

// TestPorcupine: the other checker notices a stale read by itself, among many that
// are not.
func TestPorcupine(t *testing.T) {
	h := long(100)
	for range 5 {
		again := *h.calls[99]
		h.calls = append(h.calls, &again)
	}
	v := h.Judge()
	if v.linearizable(); len(v.Problems) > 0 {
		t.Error(v.Problems)
	}
	stale := *h.calls[99]
	stale.Begin, stale.End = h.calls[101].End+1, h.calls[101].End+2
	h.calls = append(h.calls, &stale)
	v = h.Judge()
	found := len(v.Problems)
	if v.linearizable(); len(v.Problems) == found {
		t.Error("a stale read is not noticed")
	}
}

// TestBeganAgain: a watch of what comes next may be told first of the revision at which it
// began, but not of an earlier one, nor once it was told anything.
func TestBeganAgain(t *testing.T) {
	for _, c := range []struct {
		created  int64
		progress bool
		fine     bool
	}{{4, false, true}, {3, false, true}, {5, false, false}, {4, true, false}} {
		h := long(5)
		told := []Told{{At: 42, Revision: c.created, Created: true}}
		if c.progress {
			told = append(told, Told{At: 43, Revision: c.created, Progress: true})
		}
		e := *h.witnesses[0].told[2].Events[0].without() // at 4
		told = append(told, Told{At: 44, Revision: 4, Events: []Event{e}})
		h.watches = append(h.watches, &Watch{From: "k", told: told})
		if v := h.Judge(); (len(v.Problems) == 0) != c.fine {
			t.Errorf("began at %d, progress %v: %v", c.created, c.progress, v.Problems)
		}
	}
}
