package replica

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// item is a transaction on its way through the leader.
type item struct {
	// seq is its place among all items and reads of this replica; it only
	// grows, over terms too.
	seq    uint64
	origin Origin
	since  wire.Instant
	req    *kv.TxnRequest
	// bytes are those that it occupies, effect those of them that go into the log.
	bytes, effect int
	// current is the last revision that it may name, 0 if it names none.
	current kv.Revision
	// term is the one it was proposed in; opens says that its entry begins with it, and
	// index is that of the entry, 0 until raft has given it one.
	term, index uint64
	opens       bool
	eval        mvcc.Evaluation
	// refused is why it can't be done in the state that it was evaluated in. That is
	// told like an answer, once that state is certain: writes in flight made it, which
	// may yet be lost, and others may lead by now.
	refused error
	// rev is its own revision, or, if it writes nothing, the one it read at;
	// 0 until numbered.
	rev kv.Revision
}

func (it *item) writes() bool { return len(it.eval.Writes) > 0 }

// Ticket is a request for revisions under way to the oracle: count of them, for
// items up to and including seq upTo, in a term.
type Ticket struct {
	term  uint64
	upTo  uint64
	count uint32
}

// Count is how many revisions the ticket asks for.
func (t Ticket) Count() uint32 { return t.count }

// queue holds the transactions of a leader in the order of their arrival:
//
//	arrived ──evaluate──> evaluated ──numbered, propose──> inflight ──applied──> answered
//
// Everything in evaluated and inflight that writes is in the overlay.
type queue struct {
	// seq is the last one given out.
	seq     uint64
	overlay *mvcc.Overlay
	// arrived wait for evaluation: the replica does not serve yet, a compare
	// needs a number first, or too much is in flight.
	arrived []*item
	// blocked wait for the end of a transaction over several shards.
	blocked []*item
	// evaluated wait for their revision; a prefix of them may have it.
	evaluated []*item
	// inflight are proposed in term order, seq order. After the leadership is
	// lost they stay until the log says what became of them.
	inflight []*item
	// applied is the prefix of inflight that is applied but not answered; dead
	// are proposals that can never be.
	applied, dead []*item
	// tickets are the requests to the oracle under way.
	tickets []Ticket
	// told is the seq up to which a ticket was answered: what only
	// reads needs no other, even if it waits for a write before it.
	told uint64
	// numbered is the highest revision given to an item, or told to a reader,
	// in this term: items get only higher ones.
	numbered kv.Revision
	// bytes are those of all items held, underWay those that evaluated and inflight
	// have for the log.
	bytes, underWay int
	// writing counts the items of evaluated that write and have no revision yet.
	writing uint32
}

func (q *queue) len() int {
	return len(q.arrived) + len(q.blocked) + len(q.evaluated) + len(q.inflight)
}

// release gives back what an item occupied.
func (q *queue) release(it *item) {
	q.bytes -= it.bytes
	q.underWay -= it.effect
}

// next hands a new sequence number out.
func (q *queue) next() uint64 {
	q.seq++
	return q.seq
}

// asked is how many revisions are under way, and for items up to which seq.
func (q *queue) asked() (count uint32, upTo uint64) {
	for _, t := range q.tickets {
		count += t.count
		upTo = max(upTo, t.upTo)
	}
	return count, upTo
}

// drop removes a ticket and reports whether it was still under way.
func (q *queue) drop(t Ticket) bool {
	for i, o := range q.tickets {
		if o == t {
			q.tickets = append(q.tickets[:i:i], q.tickets[i+1:]...)
			return true
		}
	}
	return false
}
