package watch

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// The index finds what a look at every watch finds.
func TestIndexAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	bound := func() []byte {
		b := make([]byte, rng.IntN(3))
		for i := range b {
			b[i] = byte('a' + rng.IntN(4))
		}
		return b
	}
	var x index
	var all []*watch
	for i := range uint64(5000) {
		if len(all) > 0 && rng.IntN(100) < 48 {
			at := rng.IntN(len(all))
			x.remove(all[at])
			all = slices.Delete(all, at, at+1)
		} else {
			w := &watch{number: i, req: kv.WatchRequest{Range: kv.Range{Start: bound()}}}
			if rng.IntN(5) > 0 {
				w.req.End = bound()
			}
			x.add(w)
			all = append(all, w)
		}
		key := bound()
		var want, got []uint64
		for _, w := range all {
			if w.req.Contains(key) {
				want = append(want, w.number)
			}
		}
		x.stab(key, func(w *watch) { got = append(got, w.number) })
		slices.Sort(got)
		if !slices.Equal(got, want) || x.size != len(all) {
			t.Fatalf("step %d: %q is in %v of %d, not in %v", i, key, want, len(all), got)
		}
	}
}

func TestHull(t *testing.T) {
	r := func(start, end string) kv.Range {
		return kv.Range{Start: []byte(start), End: []byte(end)}
	}
	for _, test := range []struct{ a, b, want kv.Range }{
		{r("b", "c"), r("d", "e"), r("b", "e")},
		{r("d", "e"), r("b", "c"), r("b", "e")},
		{r("b", "e"), r("c", "d"), r("b", "e")},
		{r("b", "c"), kv.Range{Start: []byte("a")}, kv.Range{Start: []byte("a")}},
	} {
		if got := hull(test.a, test.b); got.String() != test.want.String() {
			t.Errorf("hull of %v and %v is %v", test.a, test.b, got)
		}
	}
}
