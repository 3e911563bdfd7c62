package worker

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// office is where the oracle works: beside the system shard's replica, on
// the worker that has one. It serves while that replica leads.
type office struct {
	oracle  oracle.Oracle
	term    uint64
	leading bool
	// mark is the last one that the oracle was told of in this term.
	mark kv.Revision
	// releasedAt is when the oracle was released in this term, 0 if it was not.
	releasedAt wire.Instant
	// waiting are the requests that a mark has to be committed for.
	waiting []errand
	lessor  lessor
	// compaction is led from here too.
	compaction compaction
	outlook    outlook
}

// errand is a request for revisions that waits.
type errand struct {
	from  replica.Origin
	count uint32
	since wire.Instant
}

const errandsMax = 4096

// takeMax bounds the revisions of one request.
const takeMax = 100_000

func (w *Worker) system() *replica.Replica { return w.replicas[kv.SystemShard] }

// alone is the replica here of the only shard with keys, nil if there are more such
// shards, or it is not here. Its leader is the oracle, and the office has none.
func (w *Worker) alone() *replica.Replica {
	if shard := w.shards.Oracle(); shard != kv.SystemShard {
		return w.replicas[shard]
	}
	return nil
}

// runOracle follows the system shard's replica: its terms and its marks.
func (w *Worker) runOracle(now wire.Instant) {
	sys, o := w.system(), &w.office
	if sys == nil {
		return
	}
	leading, term := sys.Leading(), sys.Term()
	switch {
	case !leading && o.leading:
		o.oracle.Follow()
		o.leading = false
		w.refuseErrands(sys)
		return
	case leading && (!o.leading || term != o.term):
		o.leading, o.term, o.mark, o.releasedAt = true, term, sys.Mark(), 0
		if w.shards.Oracle() == kv.SystemShard {
			w.proposeMark(sys, o.oracle.Lead(w.inherited(sys.Mark())))
		}
	case leading && sys.Mark() != o.mark:
		o.mark = sys.Mark()
		o.oracle.Committed(o.mark)
	}
	w.runErrands(now, sys)
}

// inherited is the mark that a term begins with.
func (w *Worker) inherited(mark kv.Revision) kv.Revision {
	if w.cfg.Mutant == mutant.ReuseRevision {
		return max(kv.FirstRevision, mark-1000)
	}
	return mark
}

func (w *Worker) proposeMark(sys *replica.Replica, mark kv.Revision) {
	if !sys.ProposeMark(mark) {
		w.office.oracle.Dropped()
	}
}

// serveOracle answers a request for count revisions now or later.
func (w *Worker) serveOracle(now wire.Instant, from replica.Origin, count uint32) {
	sys := w.system()
	switch {
	case sys == nil || !sys.Leading():
		w.respond(from, notLeader(sys))
	case w.shards.Oracle() != kv.SystemShard:
		w.respond(from, wire.Response{Code: wire.CodeWrongShard})
	case count > takeMax || len(w.office.waiting) >= errandsMax:
		w.respond(from, wire.Response{Code: wire.CodeTooManyRequests})
	default:
		e := errand{from: from, count: count, since: now}
		w.office.waiting = append(w.office.waiting, e)
	}
}

// notLeader sends who asked to the leader that a replica knows, if it is here.
func notLeader(r *replica.Replica) wire.Response {
	resp := wire.Response{Code: wire.CodeNotLeader}
	if r != nil {
		resp.Leader = r.Leader()
	}
	return resp
}

// serveLast tells the last revision of the only shard with keys.
func (w *Worker) serveLast(now wire.Instant, from replica.Origin, r *replica.Replica) {
	switch {
	case r != w.alone():
		w.respond(from, wire.Response{Code: wire.CodeWrongShard})
	case !r.Leading():
		w.respond(from, notLeader(r))
	default:
		r.Confirm(now, from, &wire.Response{Oracle: &wire.OracleResponse{
			Base: r.Last() + 1, Compacted: r.Compacted(),
		}}, &w.out)
	}
}

// runErrands hands revisions out, and sees to it that the mark runs ahead. The
// lease is checked after the number is taken.
func (w *Worker) runErrands(now wire.Instant, sys *replica.Replica) {
	o := &w.office
	for len(o.waiting) > 0 {
		e := o.waiting[0]
		if now-e.since > oracleTimeout { // who asked has asked again
			o.waiting = o.waiting[1:]
			continue
		}
		base, ok := o.oracle.Take(e.count)
		if !ok {
			break
		}
		o.waiting = o.waiting[1:]
		resp := &wire.Response{Oracle: &wire.OracleResponse{
			Base: base, Count: e.count, Compacted: sys.Compacted(),
		}}
		sys.Confirm(now, e.from, resp, &w.out)
	}
	need := uint32(0)
	if len(o.waiting) > 0 {
		need = o.waiting[0].count
	}
	if mark, ok := o.oracle.Extend(need); ok {
		w.proposeMark(sys, mark)
	} else if mark, ok := o.oracle.Retry(); ok {
		w.proposeMark(sys, mark)
	}
}

// refuseErrands sends everybody to the new leader.
func (w *Worker) refuseErrands(sys *replica.Replica) {
	for _, e := range w.office.waiting {
		w.respond(e.from, wire.Response{Code: wire.CodeNotLeader, Leader: sys.Leader()})
	}
	w.office.waiting = nil
}

// lastAllocated is the last revision handed out, if that is certain at now.
func (w *Worker) lastAllocated(now wire.Instant) kv.Revision {
	if r := w.alone(); r != nil {
		return r.Last()
	}
	sys := w.system()
	if sys == nil || !w.office.oracle.Serving() || !sys.HoldsLease(now) {
		return 0
	}
	return w.office.oracle.Last()
}

// resumeAfter is how long a released oracle waits for the leadership to go. Then
// nobody has taken it, and there is still only this oracle.
const resumeAfter = wire.Instant(2 * time.Second)

// moveOracle hands the system shard to the node that should have it. The oracle
// stops before, at its exact mark, so that the next one leaves no gap.
func (w *Worker) moveOracle(now wire.Instant) {
	sys, o := w.system(), &w.office
	switch {
	case sys == nil || !sys.Leading():
	case o.releasedAt != 0 && now-o.releasedAt > resumeAfter && !sys.Giving():
		w.resumeOracle(now, sys)
	case sys.Offers() && w.releaseOracle(now):
		sys.Give()
	}
}

// resumeOracle begins again in a term in which the oracle was released. The exact
// mark has to be applied before: a later one could else be followed by it in the log.
func (w *Worker) resumeOracle(now wire.Instant, sys *replica.Replica) {
	o := &w.office
	if sys.Mark() != o.oracle.Last() {
		o.releasedAt = now
		w.proposeMark(sys, o.oracle.Last())
		return
	}
	o.releasedAt, o.mark = 0, sys.Mark()
	w.proposeMark(sys, o.oracle.Lead(sys.Mark()))
}

// releaseOracle stops the oracle and has its exact mark committed, so that the next one
// leaves no gap. It reports whether that is done, or not ours to do.
func (w *Worker) releaseOracle(now wire.Instant) bool {
	sys := w.system()
	if sys == nil || !sys.Leading() || w.shards.Oracle() != kv.SystemShard {
		return true
	}
	if mark, ok := w.office.oracle.Release(); ok {
		w.office.releasedAt = now
		w.proposeMark(sys, mark)
		return false
	}
	return sys.Mark() == w.office.oracle.Last()
}
