package node

import (
	"slices"

	"github.com/miruvor/miruvor/internal/watch"
)

// deliveries is a queue of what a stream was told and its receiver has not
// taken. Once it is empty it begins anew in the same memory.
type deliveries struct {
	// list holds what waits from first on; before that are zeros.
	list  []watch.Delivery
	first int
}

// deliveriesKeptMax bounds the memory, in deliveries, that an empty queue
// keeps.
const deliveriesKeptMax = 1000

func (q *deliveries) empty() bool { return q.first == len(q.list) }

func (q *deliveries) push(d watch.Delivery) {
	if len(q.list) == cap(q.list) && q.first > len(q.list)/2 {
		n := copy(q.list, q.list[q.first:])
		clear(q.list[n:])
		q.list, q.first = q.list[:n], 0
	}
	q.list = append(q.list, d)
}

// pop takes the first, of a queue that is not empty.
func (q *deliveries) pop() watch.Delivery {
	d := q.list[q.first]
	q.list[q.first] = watch.Delivery{}
	q.first++
	q.rest()
	return d
}

// drop takes all those out for which f reports true.
func (q *deliveries) drop(f func(watch.Delivery) bool) {
	q.list = q.list[:q.first+len(slices.DeleteFunc(q.list[q.first:], f))]
	q.rest()
}

// rest lets an empty queue begin anew.
func (q *deliveries) rest() {
	switch {
	case !q.empty():
	case cap(q.list) > deliveriesKeptMax:
		*q = deliveries{}
	default:
		q.list, q.first = q.list[:0], 0
	}
}
