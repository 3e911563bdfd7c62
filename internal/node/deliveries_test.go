package node

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/watch"
)

// A queue gives out what was put in, in order, whatever is dropped in between.
func TestDeliveries(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q deliveries
	var want []kv.WatchID
	for range 100_000 {
		id := kv.WatchID(rng.IntN(5))
		switch n := rng.IntN(20); {
		case n < 10:
			q.push(watch.Delivery{Response: kv.WatchResponse{ID: id}})
			want = append(want, id)
		case n == 10:
			q.drop(func(d watch.Delivery) bool { return d.Response.ID == id })
			want = slices.DeleteFunc(want, func(other kv.WatchID) bool { return other == id })
		case !q.empty():
			if got := q.pop().Response.ID; got != want[0] {
				t.Fatalf("took %d, want %d", got, want[0])
			}
			want = want[1:]
		}
		if q.empty() != (len(want) == 0) {
			t.Fatalf("the queue is empty: %v, with %d in it", q.empty(), len(want))
		}
	}
}

// Who takes what comes needs no more memory, at once or always a little later.
func TestDeliveriesUseMemoryAgain(t *testing.T) {
	for _, behind := range []int{0, 3} {
		var q deliveries
		for range behind {
			q.push(watch.Delivery{})
		}
		if n := testing.AllocsPerRun(1000, func() {
			for range 10 {
				q.push(watch.Delivery{})
			}
			for range 10 {
				q.pop()
			}
		}); n > 0 {
			t.Errorf("%v allocations by one who is %d behind", n, behind)
		}
	}
}
