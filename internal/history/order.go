package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// sightings are what watches were told, as reads that ended then.
func sightings(watches []*Watch) []placed {
	var seen []placed
	for _, w := range watches {
		for _, t := range w.told {
			if t.Error == "" {
				c := &Call{Client: watchClient, End: t.At, Revision: t.Revision}
				seen = append(seen, placed{call: c, end: t.At, revision: t.Revision})
			}
		}
	}
	return seen
}

// inOrder checks that revisions never fall behind what was answered before, or
// told to a watch, and reports whether that is so.
func (v *Verdict) inOrder(sightings []placed) bool {
	found := len(v.Problems)
	begun, ended := slices.Clone(v.placed), slices.Concat(v.placed, sightings)
	slices.SortFunc(begun, func(a, b placed) int { return cmp.Compare(a.begin, b.begin) })
	slices.SortFunc(ended, func(a, b placed) int { return cmp.Compare(a.end, b.end) })
	var last placed
	for _, p := range begun {
		for len(ended) > 0 && ended[0].end < p.begin {
			if ended[0].revision > last.revision {
				last = ended[0]
			}
			ended = ended[1:]
		}
		if p.revision < last.revision || p.wrote && p.revision == last.revision {
			v.fail(p.call.End, "%v\n  is before what was answered before it:\n  %v", p.call,
				last.call)
		}
	}
	return len(v.Problems) == found
}

const (
	// pieceEntries is how much of the past porcupine gets at a time: what it
	// needs grows with the square.
	pieceEntries = 500
	pieceTime    = 20 * time.Second
)

// linearizable has porcupine look for an order, piece by piece. inOrder has
// looked at all of it before, and found nothing; this is somebody else's opinion.
func (v *Verdict) linearizable() {
	calls := strictest(v.placed)
	for first := -1; len(calls) > 0; first += pieceEntries {
		n, _ := slices.BinarySearchFunc(calls, first+pieceEntries,
			func(p placed, index int) int { return cmp.Compare(p.index, index) })
		if got := orderable(calls[:n], first); got != porcupine.Ok {
			v.fail(calls[0].begin, "porcupine, another checker, finds no order for what was asked "+
				"from %s to %s: %v", seconds(calls[0].begin), seconds(calls[n-1].begin), got)
		}
		calls = calls[n:]
	}
}

// strictest are calls by their places, of the reads in a place only the one that
// begins last and the one that ends first: where these two fit, all do.
func strictest(all []placed) []placed {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.index, b.index) })
	var calls []placed
	for first, next := 0, 0; first < len(all); first = next {
		var reads []placed
		for next = first; next < len(all) && all[next].index == all[first].index; next++ {
			if all[next].wrote {
				calls = append(calls, all[next])
			} else {
				reads = append(reads, all[next])
			}
		}
		if len(reads) > 2 {
			begin := func(a, b placed) int { return cmp.Compare(a.begin, b.begin) }
			end := func(a, b placed) int { return cmp.Compare(a.end, b.end) }
			reads = []placed{slices.MaxFunc(reads, begin), slices.MinFunc(reads, end)}
		}
		calls = append(calls, reads...)
	}
	return calls
}

// orderable looks for an order of calls that begins with the entry first, or
// with what was before the entry first if a call wrote it.
func orderable(calls []placed, first int) porcupine.CheckResult {
	var ops []porcupine.Operation
	for _, p := range calls {
		ops = append(ops, porcupine.Operation{
			ClientId: p.call.Client + 2, Input: p, Output: p, Call: int64(p.begin),
			Return: int64(p.end),
		})
	}
	start := first
	if slices.ContainsFunc(calls, func(p placed) bool { return p.wrote && p.index == first }) {
		start--
	}
	model := porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, _ any) (bool, any) {
			p := input.(placed)
			if p.wrote {
				return state == p.index-1, p.index
			}
			return state == p.index, p.index
		},
	}
	return porcupine.CheckOperationsTimeout(model, ops, pieceTime)
}
