package sim

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/wire"
)

// describeDemand says what a node asks another for on its own account, or for
// one shard's part of what a client asked.
func describeDemand(r *wire.Request) string {
	switch {
	case r.Gather != nil:
		return describeGather(r.Gather)
	case r.Prepare != nil:
		return describePrepare(r.Prepare)
	case r.Decide != nil:
		return describeDecide(r.Decide)
	case r.Resolve != nil:
		q := r.Resolve
		return fmt.Sprintf("resolve %s token %d commit %v at %v effect %d bytes",
			describeTxnID(q.Txn), q.Token, q.Commit, q.Revision, len(q.Effect))
	case r.Settle != nil:
		return fmt.Sprintf("settle %s for %v", describeTxnID(r.Settle.Txn), r.Settle.Shard)
	case r.Feed != nil:
		return fmt.Sprintf("feed %x of %v after %v want %v", r.Feed.Feed, r.Feed.Keys,
			r.Feed.After, r.Feed.Want)
	case r.Close != nil:
		return fmt.Sprintf("close %v", r.Close.Revision)
	case r.Lease != nil:
		q := r.Lease
		return fmt.Sprintf("lease op %d id %d ttl %d %v", q.Op, q.ID, q.TTL, q.Shard)
	case r.Compact != nil:
		return fmt.Sprintf("compact %v", r.Compact.Revision)
	case r.Alarm != nil:
		return (&AlarmOp{Request: *r.Alarm}).String()
	}
	return "nothing"
}

func describeTxnID(id wire.TxnID) string { return fmt.Sprintf("%v.%x", id.Node, id.Seq) }

func describeGather(q *wire.Gather) string {
	var text strings.Builder
	fmt.Fprintf(&text, "gather at %v:", q.At)
	for i := range q.Reads {
		text.WriteString(" " + describeRange(&q.Reads[i]) + ";")
	}
	return text.String()
}

func describePrepare(q *wire.Prepare) string {
	var text strings.Builder
	fmt.Fprintf(&text, "prepare %s primary %v", describeTxnID(q.Txn), q.Primary)
	for _, l := range q.Locks {
		mode := "read"
		if l.Write {
			mode = "write"
		}
		fmt.Fprintf(&text, " lock %v %s;", l.Range, mode)
	}
	if len(q.Leases) > 0 {
		fmt.Fprintf(&text, " leases %d;", q.Leases)
	}
	return text.String() + " " + describeGather(&q.Gather)
}

func describeDecide(q *wire.Decide) string {
	var text strings.Builder
	fmt.Fprintf(&text, "commit %s token %d at %v effect %d bytes", describeTxnID(q.Txn), q.Token,
		q.Revision, len(q.Effect))
	for i := range q.Others {
		text.WriteString(" " + describePart(&q.Others[i]))
	}
	return text.String()
}

func describePart(p *wire.Part) string {
	return fmt.Sprintf("%v token %d effect %d bytes", p.Shard, p.Token, len(p.Effect))
}

// describeReply says what a demand is answered.
func describeReply(r *wire.Response) string {
	switch {
	case r.Gathered != nil:
		return describeGathered(r.Gathered)
	case r.Prepared != nil:
		text := fmt.Sprintf("prepared token %d", r.Prepared.Token)
		if len(r.Prepared.Missing) > 0 {
			text += fmt.Sprintf(" missing leases %d", r.Prepared.Missing)
		}
		return text + " " + describeGathered(&r.Prepared.Gathered)
	case r.Outcome != nil:
		return describeOutcome(r.Outcome)
	case r.Fed != nil:
		return describeFed(r.Fed)
	case r.Closed != nil:
		return fmt.Sprintf("closed %v from index %d", r.Closed.Revision, r.Closed.Index)
	case r.Lease != nil:
		l := &r.Lease.Lease
		return fmt.Sprintf("lease %d ttl %d of %d at %v, %d keys, %d ids, shards %v", l.ID, l.TTL,
			l.Granted, l.Revision, len(l.Keys), len(r.Lease.IDs), r.Lease.Shards)
	case r.Compacted != nil:
		return fmt.Sprintf("compacted %v, current %v", r.Compacted.Floor, r.Compacted.Current)
	case r.Alarms != nil:
		return fmt.Sprintf("alarms %v as of %d, term %d", r.Alarms.Raised, r.Alarms.Index,
			r.Alarms.Term)
	}
	return ""
}

func describeGathered(p *wire.Gathered) string {
	var text strings.Builder
	text.WriteString("gathered")
	for i := range p.Parts {
		part := &p.Parts[i]
		if part.Code != wire.CodeOK {
			fmt.Fprintf(&text, " code %d %s;", part.Code, part.Text)
			continue
		}
		text.WriteString(" " + describeRangeResponse(&part.Range) + ";")
	}
	return text.String()
}

func describeOutcome(p *wire.Outcome) string {
	switch p.State {
	case wire.OutcomeAborted:
		return "outcome aborted"
	case wire.OutcomeCommitted:
		text := fmt.Sprintf("outcome committed at %v", p.Revision)
		if p.Part != nil {
			text += " " + describePart(p.Part)
		}
		return text
	}
	return "outcome pending"
}

func describeFed(p *wire.Fed) string {
	if p.Compacted != 0 {
		return fmt.Sprintf("fed: compacted up to %v", p.Compacted)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "fed up to %v", p.UpTo)
	for i := range p.Events {
		e := &p.Events[i]
		if e.Deleted {
			fmt.Fprintf(&text, " delete %s@%v.%d", e.KV.Key, e.KV.ModRevision, e.Sub)
			continue
		}
		fmt.Fprintf(&text, " put %s.%d", describeKV(e.KV), e.Sub)
	}
	return text.String()
}
