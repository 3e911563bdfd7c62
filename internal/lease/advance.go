package lease

import (
	"container/heap"
	"time"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// advanceMax bounds what one Advance looks at: the records of so many leases
// make an entry of the log that is not too large.
const advanceMax = 5000

// Advance lets time pass: leases whose time is up are being revoked from now on,
// and are returned in the order in which that happened; others get their checkpoints.
// It does a bounded part of the work, the rest next time.
func (l *Lessor) Advance(now wire.Instant) (expired []kv.LeaseID) {
	for n := 0; n < advanceMax && len(l.events) > 0 && l.events[0].at <= now; n++ {
		h := l.events[0].held
		switch {
		case l.leases[h.id] != h || h.revoking:
			heap.Pop(&l.events)
			continue
		case h.deadline <= now:
			heap.Pop(&l.events)
			l.Revoke(now, h.id)
			expired = append(expired, h.id)
			continue
		case h.checkpoint <= now:
			h.left = time.Duration(h.deadline - now)
			h.checkpoint = after(now, h.interval())
			l.stats.Checkpoints++
			l.change(h)
		}
		l.events[0].at = h.next()
		heap.Fix(&l.events, 0)
	}
	return expired
}

// next is when something has to be done about the lease. A renewal only makes
// it later, and so needs no other event.
func (h *held) next() wire.Instant { return min(h.deadline, h.checkpoint) }

// event is a time to look at a lease.
type event struct {
	at   wire.Instant
	held *held
}

// events is a heap, the first event on top; of two at a time the one of the
// lower id.
type events []event

func (e *events) add(h *held) { heap.Push(e, event{at: h.next(), held: h}) }

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].held.id < e[j].held.id
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e *events) Push(x any) { *e = append(*e, x.(event)) }

func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// Change is a record for the log: Record is nil for a lease that is no more.
type Change struct {
	ID     kv.LeaseID
	Record *keyspace.LeaseRecord
}

// change puts a lease into the next batch.
func (l *Lessor) change(h *held) {
	h.batch = l.batch
	if !h.dirty {
		h.dirty = true
		l.dirty = append(l.dirty, h.id)
	}
}

// Take hands the next batch over, which has to be applied after all before it.
// There is none if there are no changes.
func (l *Lessor) Take() (batch uint64, changes []Change) {
	if len(l.dirty) == 0 {
		return 0, nil
	}
	taken := make(map[kv.LeaseID]bool, len(l.dirty))
	for _, id := range l.dirty {
		if taken[id] {
			continue // removed and granted again
		}
		taken[id] = true
		changes = append(changes, Change{ID: id, Record: l.record(id)})
	}
	l.dirty = nil
	l.batch++
	return l.batch - 1, changes
}

// record is a lease as the log is to have it, nil if there is none.
func (l *Lessor) record(id kv.LeaseID) *keyspace.LeaseRecord {
	h, ok := l.leases[id]
	if !ok {
		return nil
	}
	h.dirty = false
	return &keyspace.LeaseRecord{
		Life: h.life, TTLSeconds: int64(h.ttl / time.Second),
		LeftMillis: h.left.Milliseconds(), Revoking: h.revoking, Shards: h.shards,
	}
}
