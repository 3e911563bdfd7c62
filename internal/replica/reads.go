package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3"
)

// read is a read on its way through the leader:
//
//	needs T ──takeReads──> waits for writes ──applied──> result ──lease or quorum──> answered
type read struct {
	seq    uint64
	origin Origin
	since  wire.Instant
	// Exactly one of rng, txn, gather and result is the work to do.
	rng    *kv.RangeRequest
	gather *wire.Gather
	txn    *kv.TxnRequest
	// evaluate says that txn may write: it only needs a revision first, to
	// judge the revisions that it names.
	evaluate bool
	// closes says that nobody is answered: at is closed once it is confirmed.
	closes bool
	spans  []kv.Range
	// at is T, 0 until taken; taken says that this replica took it.
	at    kv.Revision
	taken bool
	// wait is the seq of the newest write that has to be applied first.
	wait uint64
	// reading is under way while rng is carried out, in parts; local says that
	// it is answered whoever leads.
	reading *mvcc.Reading
	local   bool
	// result is known once the read was carried out.
	result *wire.Response
}

// reads are those that a leader has not answered yet.
type reads struct {
	// fresh need T, blocked wait for the end of a transaction over several
	// shards, waiting need writes to be applied, running are long and done
	// in parts, unsure need to know that this replica still leads: asked are
	// those that raft is asking a quorum for.
	fresh, blocked, waiting, running, unsure, asked []*read
	// last is what a mutant reads at.
	last kv.Revision
	// context names the last question to a quorum.
	context uint64
	// spent counts the bytes of answers since the last Work.
	spent int
}

func (l *reads) len() int {
	return len(l.fresh) + len(l.blocked) + len(l.waiting) + len(l.running) +
		len(l.unsure) + len(l.asked)
}

func (l *reads) add(rd *read) { l.fresh = append(l.fresh, rd) }

// wants reports whether a read has come after upTo and needs T.
func (l *reads) wants(upTo uint64) bool {
	return len(l.fresh) > 0 && l.fresh[len(l.fresh)-1].seq > upTo
}

func (r *Replica) submitRead(now wire.Instant, from Origin, req *wire.RangeAt, out *Output) {
	if !r.covers([]kv.Range{req.Range}) {
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
		return
	}
	rd := &read{
		seq: r.queue.next(), origin: from, since: now,
		rng: &req.RangeRequest, spans: []kv.Range{req.Range}, at: req.At,
	}
	if r.cfg.Mutant == mutant.ReadStaleLast && rd.at == 0 {
		rd.at = r.reads.last
	}
	if rd.at == 0 || !r.canServe() {
		r.reads.add(rd)
		return
	}
	r.await(now, rd, out)
}

// submitGather reads several ranges at a revision that the asker took.
func (r *Replica) submitGather(now wire.Instant, from Origin, g *wire.Gather, out *Output) {
	spans := gatherSpans(g)
	if !r.covers(spans) || g.At == 0 {
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
		return
	}
	rd := &read{seq: r.queue.next(), origin: from, since: now, gather: g, spans: spans, at: g.At}
	if !r.canServe() {
		r.reads.add(rd)
		return
	}
	r.await(now, rd, out)
}

// takeReads gives T to the reads that came up to and including a seq.
func (r *Replica) takeReads(now wire.Instant, upTo uint64, at kv.Revision, out *Output) {
	r.reads.last = at
	list := r.reads.fresh
	r.reads.fresh = nil
	var left []*read
	for _, rd := range list {
		switch {
		case rd.seq > upTo && rd.at == 0:
			left = append(left, rd)
			continue
		case rd.at == 0:
			rd.at, rd.taken = at, true
		}
		r.await(now, rd, out)
	}
	r.reads.fresh = append(left, r.reads.fresh...)
}

// await starts a read that has its T: at once, if no overlapping write in
// flight could commit at or below T. A transaction that writes, and reads the past,
// finds the writes of this shard alone in the overlay.
func (r *Replica) await(now wire.Instant, rd *read, out *Output) {
	if r.readBlocked(rd.spans, rd.at) {
		r.reads.blocked = append(r.reads.blocked, rd)
		return
	}
	if rd.evaluate {
		r.enqueue(now, rd.origin, rd.txn, rd.at, out)
		return
	}
	for _, span := range rd.spans {
		if seq, ok := r.queue.overlay.LastOverlap(span, rd.at); ok {
			rd.wait = max(rd.wait, seq)
		}
	}
	if rd.wait > 0 && r.cfg.Mutant != mutant.ReadWithoutWait {
		r.reads.waiting = append(r.reads.waiting, rd)
		return
	}
	r.carryOut(now, rd, out)
}

// readApplied carries out the reads whose writes are applied now.
func (r *Replica) readApplied(now wire.Instant, out *Output) {
	var left []*read
	for _, rd := range r.reads.waiting {
		if r.queue.pendingUpTo(rd.wait) {
			left = append(left, rd)
			continue
		}
		r.carryOut(now, rd, out)
	}
	r.reads.waiting = left
}

// carryOut reads, and answers if this replica certainly still leads. A range
// that is long is left to Work.
func (r *Replica) carryOut(now wire.Instant, rd *read, out *Output) {
	if rd.result == nil && r.overtaken(rd) {
		r.retake(rd)
		return
	}
	if rd.result == nil && (rd.rng == nil || r.reads.spent < r.cfg.Bounds.TurnBytesMax) {
		rd.result = r.result(rd)
	}
	if rd.result == nil {
		r.reads.running = append(r.reads.running, rd)
		return
	}
	switch {
	case rd.local:
		r.answer(rd.origin, rd.result, out)
	case r.HoldsLease(now):
		r.reassure(out)
		r.answer(rd.origin, rd.result, out)
	default:
		r.reads.unsure = append(r.reads.unsure, rd)
	}
}

// reassure answers the reads that were unsure, now that the lease is held again,
// before any later one: revisions that are overtaken by later ones are lost.
func (r *Replica) reassure(out *Output) {
	for _, list := range [][]*read{r.reads.asked, r.reads.unsure} {
		for _, rd := range list {
			if rd.closes {
				r.closeConfirmed(rd)
			}
			r.answer(rd.origin, rd.result, out)
			rd.origin = Origin{}
		}
	}
	r.reads.unsure = nil
}

// Work does a part of a long read, of each in turn, or several short ones that were too
// many to be done at once. It reports whether there was anything to do.
func (r *Replica) Work(now wire.Instant, out *Output) bool {
	l := &r.reads
	l.spent = 0
	fed := r.workFeeds(out)
	if len(l.running) == 0 {
		return fed
	}
	for len(l.running) > 0 && l.spent < r.cfg.Bounds.TurnBytesMax {
		rd := l.running[0]
		l.running = l.running[1:]
		if r.carryOut(now, rd, out); rd.result == nil {
			break // a part of it was enough
		}
	}
	return true
}

// HasWork reports whether Work has something to do.
func (r *Replica) HasWork() bool { return len(r.reads.running) > 0 }

// result is what a read comes to, nil if it takes another part.
func (r *Replica) result(rd *read) *wire.Response {
	view := mvcc.View{
		Reader: r.cfg.Engine, Recent: r.recent, At: rd.at, Current: rd.at,
		Compacted: r.state.compacted,
		BytesMax:  r.cfg.Bounds.AnswerBytesMax,
	}
	if rd.gather != nil {
		gathered := r.gather(rd.gather, rd.at, rd.at)
		return &wire.Response{Gathered: &gathered}
	}
	if rd.txn != nil {
		eval, err := mvcc.Evaluate(view, rd.txn, 0)
		if err != nil {
			return &wire.Response{Code: wire.CodeOf(err), Text: err.Error()}
		}
		eval.SetRevision(rd.at)
		return &wire.Response{Txn: &eval.Response}
	}
	return r.readPart(view, rd)
}

func (r *Replica) readPart(view mvcc.View, rd *read) *wire.Response {
	var err error
	if rd.reading == nil {
		rd.reading, err = mvcc.NewReading(view, *rd.rng)
	}
	done := false
	if rev := rd.rng.Revision; err == nil && rev != 0 && rev < view.Compacted {
		err = fmt.Errorf("%w: %v was being read, %v is the oldest left now", kv.ErrCompacted,
			rev, view.Compacted)
	}
	if err == nil {
		done, err = rd.reading.Next(r.cfg.Bounds.PartKeysMax)
	}
	switch {
	case err != nil:
		return &wire.Response{Code: wire.CodeOf(err), Text: err.Error()}
	case !done:
		return nil
	}
	resp := rd.reading.Response()
	resp.Revision = rd.at
	r.reads.spent += resp.Size()
	return &wire.Response{Range: &resp}
}

// askQuorum has raft confirm the leadership for all reads that are unsure. One
// question is under way at a time; a context is never used again.
func (r *Replica) askQuorum() {
	if len(r.reads.unsure) == 0 || len(r.reads.asked) > 0 || !r.role.serving {
		return
	}
	r.reads.asked, r.reads.unsure = r.reads.unsure, nil
	r.reads.context++
	r.raft.ReadIndex(binary.BigEndian.AppendUint64(nil, r.reads.context))
}

// confirmed answers the reads that a quorum has confirmed the leadership for.
func (r *Replica) confirmed(states []raft.ReadState, out *Output) {
	for _, s := range states {
		if binary.BigEndian.Uint64(s.RequestCtx) != r.reads.context {
			continue
		}
		for _, rd := range r.reads.asked {
			if rd.closes {
				r.closeConfirmed(rd)
			}
			r.answer(rd.origin, rd.result, out)
		}
		r.reads.asked = nil
	}
}

// Confirm answers resp to an asker once it is certain that this replica led
// after the call. The system shard's oracle uses it: a number is taken, then
// the lease is checked.
func (r *Replica) Confirm(now wire.Instant, to Origin, resp *wire.Response, out *Output) {
	r.carryOut(now, &read{seq: r.queue.next(), origin: to, since: now, result: resp}, out)
}

// refuseReads sends all readers to the new leader.
func (r *Replica) refuseReads(out *Output) {
	l := &r.reads
	for _, list := range [][]*read{l.fresh, l.blocked, l.waiting, l.running, l.unsure, l.asked} {
		for _, rd := range list {
			r.refuse(rd.origin, out)
		}
	}
	*l = reads{last: l.last, context: l.context, spent: l.spent}
}

// readLocal answers from this replica's own state, whoever leads. With At
// zero it reads at the highest revision that is complete here.
func (r *Replica) readLocal(now wire.Instant, from Origin, req *wire.RangeAt, out *Output) {
	at := req.At
	if at == 0 {
		at = r.closed.upTo
	}
	switch {
	case r.role.restoring > 0 || r.state.applied.Index == 0:
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case !r.covers([]kv.Range{req.Range}):
		r.answer(from, &wire.Response{Code: wire.CodeWrongShard}, out)
	case at > r.closed.upTo, req.At == 0 && req.Revision == 0 && at < r.state.compacted:
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case r.reads.len() >= r.cfg.Bounds.QueueMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	default:
		r.carryOut(now, &read{
			seq: r.queue.next(), origin: from, since: now,
			rng: &req.RangeRequest, at: at, local: true,
		}, out)
	}
}
