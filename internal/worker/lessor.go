package worker

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/lease"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// lessor is where leases are looked after: beside the leader of the system
// shard. It answers what is asked about them once the log has what the answer
// tells, and ends those whose time is up (ending).
type lessor struct {
	lease.Lessor
	// term is that of everything below.
	term uint64
	// batches are those that raft has not taken yet.
	batches []leaseBatch
	// errands wait for a batch to be applied.
	errands []leaseErrand
	// ends are the leases that come to their end, in that order; ending finds them.
	ends   []*ending
	ending map[kv.LeaseID]*ending
}

type leaseBatch struct {
	number  uint64
	changes []replica.LeaseChange
}

// leaseErrand is something asked about a lease, which can be answered once a
// batch is applied.
type leaseErrand struct {
	from  replica.Origin
	since wire.Instant
	req   *wire.Lease
	batch uint64
	// last was the last revision after it was asked, 0 if that is not known yet.
	last kv.Revision
}

// leaseErrandsMax bounds the requests about leases that wait.
const leaseErrandsMax = 20_000

// runLessor follows the system shard's replica, whose term runOracle knows.
func (w *Worker) runLessor(now wire.Instant) {
	l, sys := &w.office.lessor, w.system()
	if sys == nil {
		return
	}
	if !w.office.leading || l.term != w.office.term {
		w.dropLeases(sys)
	}
	if !w.office.leading {
		return
	}
	if l.term != w.office.term {
		w.loadLeases(now, sys)
	}
	w.proposeLeases(sys)
	w.runEnds(now, sys)
	w.runLeaseErrands(now, sys)
	w.proposeLeases(sys)
}

// loadLeases begins a term.
func (w *Worker) loadLeases(now wire.Instant, sys *replica.Replica) {
	l := &w.office.lessor
	l.term, l.ending = w.office.term, map[kv.LeaseID]*ending{}
	l.Lead(l.term)
	err := sys.LoadLeases(func(id kv.LeaseID, r *keyspace.LeaseRecord) {
		if w.cfg.Mutant == mutant.ExpireEarly {
			r.LeftMillis /= 2
		}
		l.Load(now, id, r)
	})
	if err != nil {
		panic(fmt.Sprintf("worker: leases are not readable: %v", err))
	}
	for _, id := range l.Revoking() {
		w.end(now, id)
	}
}

// dropLeases ends a term: everybody is sent to the new leader. What was to be
// done once may or may not be done by what is in the log.
func (w *Worker) dropLeases(sys *replica.Replica) {
	l := &w.office.lessor
	if l.term == 0 {
		return
	}
	l.term = 0
	for i := range l.errands {
		w.dropLeaseErrand(sys, &l.errands[i])
	}
	for _, e := range l.ends {
		for i := range e.waiting {
			w.dropLeaseErrand(sys, &e.waiting[i])
		}
		w.dropLeaseErrand(sys, &e.revoker)
	}
	l.batches, l.errands, l.ends, l.ending = nil, nil, nil, nil
}

func (w *Worker) dropLeaseErrand(sys *replica.Replica, e *leaseErrand) {
	if e.req == nil {
		return
	}
	resp := wire.Response{Code: wire.CodeNotLeader, Leader: sys.Leader()}
	if e.req.Once() {
		resp = wire.Response{Code: wire.CodeUncertain, Text: kv.ErrUncertain.Error()}
	}
	w.respond(e.from, resp)
}

// proposeLeases sends what has changed through the log: one entry for all that
// came in since the last time.
func (w *Worker) proposeLeases(sys *replica.Replica) {
	l := &w.office.lessor
	if number, changes := l.Take(); number != 0 {
		b := leaseBatch{number: number}
		for _, c := range changes {
			b.changes = append(b.changes, replica.LeaseChange(c))
		}
		l.batches = append(l.batches, b)
	}
	for len(l.batches) > 0 && sys.ProposeLeases(l.batches[0].number, l.batches[0].changes) {
		l.batches = l.batches[1:]
	}
}

// serveLease takes what the system shard is asked about a lease.
func (w *Worker) serveLease(now wire.Instant, from replica.Origin, req *wire.Lease) {
	l, sys := &w.office.lessor, w.system()
	e := leaseErrand{from: from, since: now, req: req}
	switch {
	case sys == nil || !sys.Leading():
		w.respond(from, notLeader(sys))
	case l.term == 0 || l.term != sys.Term():
		w.respond(from, wire.Response{Code: wire.CodeRetry}) // it has just begun to lead
	case len(l.errands) >= leaseErrandsMax:
		w.respond(from, wire.Response{Code: wire.CodeTooManyRequests})
	case req.Op == wire.LeaseGrant:
		w.grant(now, sys, e)
	case req.Op == wire.LeaseList:
		w.confirmLease(now, sys, e, &wire.LeaseResponse{IDs: l.IDs()})
	case req.Op > wire.LeaseAttach:
		err := kv.Invalid("lease: the system shard does not know operation %d", req.Op)
		w.respond(from, wire.Response{Code: wire.CodeOf(err), Text: err.Error()})
	default:
		w.serveHeld(now, sys, e)
	}
}

func (w *Worker) grant(now wire.Instant, sys *replica.Replica, e leaseErrand) {
	l, err := &w.office.lessor, error(nil)
	if e.req.ID <= 0 {
		err = kv.Invalid("lease id: %d, it has to be positive", e.req.ID)
	} else {
		e.batch, err = l.Grant(now, e.req.ID, e.req.TTL)
	}
	if err != nil {
		sys.Confirm(now, e.from, &wire.Response{Code: wire.CodeOf(err), Text: err.Error()}, &w.out)
		return
	}
	l.errands = append(l.errands, e)
}

// serveHeld takes what is about a lease that exists.
func (w *Worker) serveHeld(now wire.Instant, sys *replica.Replica, e leaseErrand) {
	l, id := &w.office.lessor, e.req.ID
	switch state := l.State(now, id); {
	case w.awaitEnd(now, sys, state, e):
	case e.req.Op == wire.LeaseRevoke:
		w.end(now, id).revoker = e
	default:
		switch e.req.Op {
		case wire.LeaseKeepAlive:
			e.batch = l.Renew(now, id)
		case wire.LeaseAttach:
			e.batch = l.Attach(id, e.req.Shard)
		default:
			_, e.batch = l.Lease(now, id)
		}
		if !w.runLeaseErrand(now, sys, &e) {
			l.errands = append(l.errands, e)
		}
	}
}

// awaitEnd takes care of an errand if its lease is not alive. What is asked of one
// that comes to its end is answered after that.
func (w *Worker) awaitEnd(
	now wire.Instant, sys *replica.Replica, state lease.State, e leaseErrand,
) bool {
	end := w.office.lessor.ending[e.req.ID]
	switch {
	case end != nil:
		end.waits(e)
	case state == lease.Ending:
		w.end(now, e.req.ID).waits(e)
	case state == lease.Unknown:
		w.leaseNotFound(now, sys, e)
	default:
		return false
	}
	return true
}

// runLeaseErrands answers what the log has by now.
func (w *Worker) runLeaseErrands(now wire.Instant, sys *replica.Replica) {
	l := &w.office.lessor
	list := l.errands
	l.errands = nil
	for i := range list {
		if !w.runLeaseErrand(now, sys, &list[i]) {
			l.errands = append(l.errands, list[i])
		}
	}
}

// runLeaseErrand answers an errand if it can be, and reports whether it is out
// of the way.
func (w *Worker) runLeaseErrand(now wire.Instant, sys *replica.Replica, e *leaseErrand) bool {
	l, id := &w.office.lessor, e.req.ID
	unlogged := w.cfg.Mutant == mutant.RenewUnlogged && e.req.Op == wire.LeaseKeepAlive
	if e.batch > sys.LeaseBatch() && !unlogged {
		return false
	}
	granted, state := e.req.Op == wire.LeaseGrant, l.State(now, id)
	if !granted && w.awaitEnd(now, sys, state, *e) {
		return true
	}
	if (granted || e.req.Op == wire.LeaseKeepAlive) && state == lease.Alive {
		if e.batch = l.Extend(now, id); e.batch > sys.LeaseBatch() && !unlogged {
			return false
		}
	}
	if granted { // and maybe revoked meanwhile
		ttl := max(e.req.TTL, kv.LeaseTTLMin)
		w.respondLease(now, *e, &wire.LeaseResponse{
			Lease: kv.Lease{ID: id, TTL: ttl, Granted: ttl},
		})
		return true
	}
	described, _ := l.Lease(now, id)
	w.confirmLease(now, sys, *e, &wire.LeaseResponse{
		Lease: described, Shards: l.Shards(id), Life: l.Life(id),
	})
	return true
}

// confirmLease answers once it is certain that this replica still leads.
func (w *Worker) confirmLease(
	now wire.Instant, sys *replica.Replica, e leaseErrand, resp *wire.LeaseResponse,
) {
	l := &w.office.lessor
	term := l.term
	resp.Lease.Revision = max(resp.Lease.Revision, e.last)
	w.dateLease(now, resp, func(dated wire.Instant) {
		switch {
		case l.term != term || !sys.Leading():
			w.dropLeaseErrand(sys, &e)
		case dated > now && e.req.Op != wire.LeaseList:
			// What was so at now may be so no more: who is told that a lease has its
			// full time left counts from then on.
			e.last = max(resp.Lease.Revision, kv.FirstRevision)
			if !w.runLeaseErrand(dated, sys, &e) {
				l.errands = append(l.errands, e)
			}
		default:
			sys.Confirm(dated, e.from, &wire.Response{Lease: resp}, &w.out)
		}
	})
}

// respondLease answers what the log has done once and for all, whoever leads by now:
// if it were asked again, it would find that it is done.
func (w *Worker) respondLease(now wire.Instant, e leaseErrand, resp *wire.LeaseResponse) {
	w.dateLease(now, resp, func(wire.Instant) {
		w.respond(e.from, wire.Response{Lease: resp})
	})
}

// dateLease sets the revision of an answer that has none of its own, then calls done.
// If the oracle is elsewhere and does not answer, the last one known has to do: leases
// don't depend on it.
func (w *Worker) dateLease(
	now wire.Instant, resp *wire.LeaseResponse, done func(now wire.Instant),
) {
	date := func(now wire.Instant, last kv.Revision) {
		resp.Lease.Revision = max(last, w.observed)
		done(now)
	}
	r := w.alone()
	switch {
	case resp.Lease.Revision != 0:
		done(now)
	case w.shards.Oracle() == kv.SystemShard:
		date(now, w.office.oracle.Last())
	case r != nil && r.HoldsLease(now):
		date(now, r.Last())
	default:
		w.askLast(now, date)
	}
}

// askLast asks an oracle elsewhere for the last revision, for long enough to choose
// another leader there.
func (w *Worker) askLast(since wire.Instant, then func(now wire.Instant, last kv.Revision)) {
	w.demands.client.Add(oracle.Demand{
		Granted: func(now wire.Instant, base kv.Revision) { then(now, base-1) },
		Lost: func(now wire.Instant) {
			if now < since+wire.Instant(w.cfg.Timing.RequestTimeout)/2 {
				w.askLast(since, then)
				return
			}
			then(now, 0)
		},
	})
}

func (w *Worker) leaseNotFound(now wire.Instant, sys *replica.Replica, e leaseErrand) {
	text := fmt.Sprintf("%v: %d", kv.ErrLeaseNotFound, e.req.ID)
	sys.Confirm(now, e.from, &wire.Response{Code: wire.CodeLeaseNotFound, Text: text}, &w.out)
}

// tickLessor lets the time of leases pass.
func (w *Worker) tickLessor(now wire.Instant) {
	l, sys := &w.office.lessor, w.system()
	if sys == nil || l.term == 0 || !sys.Leading() {
		return
	}
	for _, id := range l.Advance(now) {
		w.end(now, id)
	}
	w.tickEnds(now)
}
