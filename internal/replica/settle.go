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
	// keepOutcomes is how long an outcome can be asked for, beside four times the
	// time of a request: by then no message of its coordinator is under way.
	keepOutcomes = wire.Instant(30 * time.Second)
	// forgetMax bounds the transactions of one entry.
	forgetMax = 1000
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
	keep := keepOutcomes + 4*wire.Instant(r.cfg.Timing.RequestTimeout)
	var old []wire.TxnID
	for _, o := range r.locks.decided {
		if o.since == 0 {
			o.since = now
		}
		switch {
		case len(o.parts) > 0:
			r.tell(now, o, out)
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
		o.since = now
		if len(o.parts) > 0 {
			r.tell(now, o, out)
		}
	}
}

// tell has the shards that have not confirmed it take an outcome.
func (r *Replica) tell(now wire.Instant, o *outcome, out *Output) {
	if o.asked != 0 && now < o.asked+askEvery {
		return
	}
	o.asked = now
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
	value, err := r.cfg.Engine.Get(txnKey(r.cfg.Shard, keyspace.KindOutcome, o.txn))
	if err != nil {
		return nil // applied, but not committed to the engine yet: asked again
	}
	rec, err := decodeDecide(value)
	if err != nil {
		r.broken(r.state.applied.Index, "%v", err)
	}
	for i := range rec.others {
		if rec.others[i].Shard == shard {
			return &rec.others[i]
		}
	}
	return &wire.Part{Shard: shard}
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
	if o == nil {
		return
	}
	var left []wire.Part
	for _, p := range o.parts {
		if p.Shard != shard {
			left = append(left, p)
		}
	}
	o.parts = left
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
