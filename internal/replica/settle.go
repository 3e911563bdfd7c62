package replica

import (
	"time"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	// settleAfter is how long a transaction may hold locks before its primary is
	// asked, and before that gives it up: what a dead coordinator costs others.
	settleAfter = wire.Instant(time.Second)
	// askEvery is the pause between two questions to another shard.
	askEvery = wire.Instant(200 * time.Millisecond)
	// forgetMax bounds the transactions of one entry, tellMax those that others
	// are told of again in one tick.
	forgetMax = 1000
	tellMax   = 500
)

// Ask is a request to the leader of another shard. Its answer, if there is one,
// goes to Heard; what gets lost is asked again.
type Ask struct {
	// From is the asker's shard.
	From, Shard kv.ShardID
	Request     wire.Request
}

// tendLocks looks after transactions that do not end by themselves.
func (r *Replica) tendLocks(now wire.Instant, out *Output) {
	if !r.canServe() {
		return
	}
	r.unblock(now, out)
	r.answerPrepares(out) // what they waited for may have been given up
	for _, h := range r.locks.order {
		if h.since == 0 {
			h.since = now
		}
		if h.deciding || h.token == 0 || now < h.since+settleAfter {
			continue
		}
		if h.primary == r.cfg.Shard {
			r.abort(h.txn)
			continue
		}
		if now >= h.asked+askEvery {
			h.asked = now
			out.Asks = append(out.Asks, Ask{r.cfg.Shard, h.primary, wire.Request{
				Settle: &wire.Settle{Txn: h.txn, Shard: r.cfg.Shard},
			}})
		}
	}
	r.tendOutcomes(now, out)
}

// tendOutcomes tells the other shards again what they have not confirmed, and
// forgets what is old.
func (r *Replica) tendOutcomes(now wire.Instant, out *Output) {
	keep := wire.Instant(r.cfg.Timing.KeepOutcomes)
	var old []wire.TxnID
	told := 0
	for _, o := range r.locks.decided {
		if o.since == 0 {
			o.since = now
		}
		switch {
		case o.untold && told < tellMax && (o.asked == 0 || now >= o.asked+askEvery):
			told++
			r.tell(now, o, out)
		case o.untold:
		case now > o.since+keep && !o.forgetting && len(old) < forgetMax:
			old = append(old, o.txn)
		}
	}
	if len(old) == 0 || !r.step([]*raftpb.Entry{{Data: appendForget([]byte{kindForget}, old)}}) {
		return
	}
	for _, id := range old {
		r.locks.outcomes[id].forgetting = true
	}
}

// tellNew tells the other shards what was just committed.
func (r *Replica) tellNew(now wire.Instant, out *Output) {
	if !r.canServe() {
		return
	}
	for i := len(r.locks.decided) - 1; i >= 0 && r.locks.decided[i].since == 0; i-- {
		o := r.locks.decided[i]
		if o.untold && o.parts == nil {
			return // of an earlier term: tendOutcomes tells them, in turn
		}
		o.since = now
		if o.untold {
			r.tell(now, o, out)
		}
	}
}

// tell has the shards that have not confirmed it take an outcome.
func (r *Replica) tell(now wire.Instant, o *outcome, out *Output) {
	o.asked = now
	if o.parts == nil {
		o.parts = r.storedParts(o)
	}
	for _, p := range o.parts {
		out.Asks = append(out.Asks, Ask{r.cfg.Shard, p.Shard, wire.Request{Resolve: &wire.Resolve{
			Txn: o.txn, Token: p.Token, Commit: true, Revision: o.revision, Effect: p.Effect,
		}}})
	}
}

// submitSettle tells another shard what became of a transaction.
func (r *Replica) submitSettle(now wire.Instant, from Origin, s *wire.Settle, out *Output) {
	if !r.canServe() {
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
		return
	}
	h, o := r.locks.held[s.Txn], r.locks.outcomes[s.Txn]
	resp := outcomeResponse(&outcome{})
	switch {
	case o != nil:
		resp = outcomeResponse(o)
		resp.Outcome.Part = r.storedPart(o, s.Shard)
	case h == nil && r.cfg.Mutant == mutant.NoTombstone:
		resp.Outcome.State = wire.OutcomeAborted
	case h == nil || h.since != 0 && now >= h.since+settleAfter:
		r.abort(s.Txn)
	}
	r.answer(from, resp, out)
}

// storedPart is what a committed transaction does to a shard, from its record.
func (r *Replica) storedPart(o *outcome, shard kv.ShardID) *wire.Part {
	if o.state != wire.OutcomeCommitted {
		return nil
	}
	parts := r.storedParts(o)
	for i := range parts {
		if parts[i].Shard == shard {
			return &parts[i]
		}
	}
	if parts == nil {
		return nil // applied, but not committed to the engine yet: asked again
	}
	return &wire.Part{Shard: shard}
}

// storedParts are what a committed transaction does to other shards, from its
// record; nil if that is not in the engine yet.
func (r *Replica) storedParts(o *outcome) []wire.Part {
	value, err := r.cfg.Engine.Get(txnKey(r.cfg.Shard, keyspace.KindOutcome, o.txn))
	if err != nil {
		return nil
	}
	rec, err := decodeDecide(value)
	if err != nil {
		r.broken(r.state.applied.Index, "%v", err)
	}
	return rec.others
}

// Heard takes the answer to an Ask.
func (r *Replica) Heard(ask *Ask, resp *wire.Response) {
	if !r.canServe() || resp.Outcome == nil {
		return
	}
	if told := ask.Request.Resolve; told != nil {
		r.confirmedBy(told.Txn, ask.Shard)
		return
	}
	r.end(ask.Request.Settle.Txn, resp.Outcome)
}

// confirmedBy notes that a shard has taken its part.
func (r *Replica) confirmedBy(id wire.TxnID, shard kv.ShardID) {
	o := r.locks.outcomes[id]
	if o == nil || !o.untold || o.parts == nil {
		return
	}
	var left []wire.Part
	for _, p := range o.parts {
		if p.Shard != shard {
			left = append(left, p)
		}
	}
	o.parts, o.untold = left, len(left) > 0
}

// end ends a hold as the primary shard says.
func (r *Replica) end(id wire.TxnID, told *wire.Outcome) {
	h := r.locks.held[id]
	if h == nil || h.deciding || h.token == 0 {
		return
	}
	rec := &resolveRecord{txn: id, token: h.token}
	switch {
	case told.State == wire.OutcomePending:
		return
	case told.State == wire.OutcomeCommitted && told.Part == nil:
		return
	case told.State == wire.OutcomeCommitted && told.Part.Token == h.token:
		rec.commit, rec.revision, rec.effect = true, told.Revision, told.Part.Effect
	}
	r.proposeEnd(h, appendResolve([]byte{kindResolve}, rec))
}
