package replica

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// Want reports whether the replica needs something of the oracle that is not
// under way yet: count revisions, or with count 0 only the last one.
func (r *Replica) Want() (count uint32, ok bool) {
	if !r.role.serving {
		return 0, false
	}
	asked, upTo := r.queue.asked()
	if r.queue.writing > asked {
		return r.queue.writing - asked, true
	}
	for _, it := range r.queue.evaluated {
		if it.seq > max(upTo, r.queue.told) && it.rev == 0 {
			return 0, true
		}
	}
	return 0, r.reads.wants(upTo)
}

// Asked records that what Want said is being asked for. Numbered or Unasked
// follows with the ticket.
func (r *Replica) Asked() Ticket {
	count, _ := r.Want()
	if r.cfg.Mutant == mutant.CacheRevisions && count > 0 {
		count += 2
	}
	t := Ticket{term: r.role.term, upTo: r.queue.seq, count: count}
	r.queue.tickets = append(r.queue.tickets, t)
	return t
}

// Unasked tells that a ticket will not be answered.
func (r *Replica) Unasked(t Ticket) { r.queue.drop(t) }

// Numbered hands out the revisions base, base+1, … that a ticket asked for.
// They go to the oldest items without one: each arrived before the ticket was
// sent, which is all that order in real time asks. A ticket overtaken by a later
// one is worthless: revisions in the log must not decrease, and what a
// reader was told to be the last one is not written at any more.
func (r *Replica) Numbered(now wire.Instant, t Ticket, base kv.Revision, out *Output) {
	r.numbered(now, t, base, base-1, out)
}

// Number gives revisions on a leader that is Alone: those behind the last one in its
// log, so that they never leave a gap, whoever leads. Readers are told what is
// committed: what is not yet may be lost with this leader, and its revision given to
// another write, which they would have missed.
func (r *Replica) Number(now wire.Instant, out *Output) {
	// A transaction that reads the past and writes wants something twice.
	for _, ok := r.Want(); ok; _, ok = r.Want() {
		t, last, told := r.Asked(), r.lastProposed(), r.Last()
		if r.cfg.Mutant == mutant.TellInFlight {
			told = last
		}
		r.numbered(now, t, last+1, told, out)
		// What raft did not take has used none: they are given to what comes next.
		r.queue.numbered = r.lastProposed()
	}
}

// Last is the revision that this replica is at: on a leader that is Alone that of what is
// committed. Followers may have applied that before it has, and told their readers.
func (r *Replica) Last() kv.Revision {
	last := max(r.state.applied.Revision, r.state.compacted)
	if !r.cfg.Alone || !r.role.serving || len(r.queue.inflight) == 0 {
		return last
	}
	commit := r.role.kept.commit // what raft has said, and nobody knows more
	if commit == r.state.applied.Index || r.cfg.Mutant == mutant.TellApplied {
		return last
	}
	for _, it := range r.queue.inflight {
		switch {
		case it.term != r.role.term:
			continue
		case it.opens && (it.index == 0 || it.index > commit):
			return last
		}
		last = max(last, it.rev)
	}
	return last
}

// placed notes the index of an entry of this leader's that raft has appended to the log.
func (r *Replica) placed(e *raftpb.Entry) {
	if !r.cfg.Alone || !r.role.leader || e.GetTerm() != r.role.term ||
		len(e.GetData()) == 0 || e.GetData()[0] != kindEffects {
		return
	}
	seq, _ := binary.Uvarint(e.GetData()[1:])
	i, ok := slices.BinarySearchFunc(r.queue.inflight, seq, func(it *item, seq uint64) int {
		return cmp.Compare(it.seq, seq)
	})
	if ok {
		r.queue.inflight[i].index = e.GetIndex()
	}
}

// lastProposed is the revision that a leader's log ends with.
func (r *Replica) lastProposed() kv.Revision {
	if n := len(r.queue.inflight); n > 0 && r.queue.inflight[n-1].term == r.role.term {
		return r.queue.inflight[n-1].rev
	}
	return r.Last()
}

// numbered hands out the revisions from base on, and tells readers at.
func (r *Replica) numbered(now wire.Instant, t Ticket, base, at kv.Revision, out *Output) {
	if !r.queue.drop(t) || t.term != r.role.term || !r.role.serving {
		return
	}
	if base > r.queue.numbered {
		r.queue.told = max(r.queue.told, t.upTo)
		r.number(t, base)
		r.propose(now, out)
	}
	r.queue.numbered = max(r.queue.numbered, base-1)
	r.takeReads(now, t.upTo, at, out)
	r.evaluate(out)
	r.answerPrepares(out)
}

func (r *Replica) number(t Ticket, base kv.Revision) {
	q := &r.queue
	next, end := base, base+kv.Revision(t.count)
	for _, it := range q.evaluated {
		if it.rev != 0 {
			continue
		}
		covered := t.upTo
		if !it.writes() {
			covered = q.told
		}
		if it.seq > covered && r.cfg.Mutant != mutant.CacheRevisions {
			break
		}
		if !it.writes() {
			it.rev = max(next-1, q.numbered)
			continue
		}
		if next == end {
			break
		}
		r.give(it, next)
		next++
	}
	r.resolve()
}

// give makes rev the revision of an item that writes.
func (r *Replica) give(it *item, rev kv.Revision) {
	q := &r.queue
	if rev <= r.closed.upTo || rev <= r.state.applied.Ordered {
		r.broken(r.state.applied.Index, "revision %v is given out, but %v is closed", rev,
			r.closed.upTo)
	}
	it.rev, q.numbered = rev, rev
	q.writing--
	q.overlay.Number(it.seq, rev)
}

// resolve replaces the stand-ins of what was just numbered, everywhere.
func (r *Replica) resolve() {
	known := func(seq uint64) (kv.Revision, bool) {
		i, ok := slices.BinarySearchFunc(r.queue.evaluated, seq, func(it *item, seq uint64) int {
			return cmp.Compare(it.seq, seq)
		})
		if !ok {
			return 0, false
		}
		rev := r.queue.evaluated[i].rev
		return rev, rev != 0
	}
	for _, it := range r.queue.evaluated {
		it.eval.Resolve(known)
	}
}
