package replica

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// crossing reads what a transaction over several shards asks of this one, by
// the number that the transaction has:
//
//	prepare 1 [primary=2] [wait] [at=5] [lease=7] w=a r=b..c [past=a@4]
//	                                              (locks and reads them)
//	decide 1 token=3 rev=20 [a=x] [other=2:7]     resolve 1 [token=3] [rev=20 a=x]
//	settle 1 [shard=2]                            gather 9 a b..c
//
// A primary that is not named is this shard, and a resolve without a revision
// is of a transaction that was given up.
func (s *story) crossing(req *wire.Request, words []string) bool {
	what, words := words[0], words[1:]
	switch what {
	case "prepare":
		req.Prepare = s.prepare(words)
	case "gather":
		req.Gather = &wire.Gather{At: s.revision(words[0])}
		for _, word := range words[1:] {
			read := kv.RangeRequest{Range: span(word)}
			req.Gather.Reads = append(req.Gather.Reads, read)
		}
	case "decide":
		d := &wire.Decide{Txn: txnID(words[0])}
		d.Token, d.Revision, d.Effect = s.ending(words[1:], func(shard kv.ShardID, token uint64) {
			d.Others = append(d.Others, wire.Part{Shard: shard, Token: token})
		})
		req.Decide = d
	case "resolve":
		d := &wire.Resolve{Txn: txnID(words[0])}
		d.Token, d.Revision, d.Effect = s.ending(words[1:], nil)
		d.Commit = d.Revision != 0
		req.Resolve = d
	case "settle":
		req.Settle = &wire.Settle{Txn: txnID(words[0]), Shard: 2}
	default:
		return false
	}
	return true
}

func txnID(word string) wire.TxnID {
	id := wire.TxnID{Node: 9}
	_, _ = fmt.Sscan(word, &id.Seq)
	return id
}

// span is a key, or a range as in a..c.
func span(word string) kv.Range {
	if start, end, ok := strings.Cut(word, ".."); ok {
		return kv.Range{Start: []byte(start), End: []byte(end)}
	}
	return kv.PointRange([]byte(word))
}

func (s *story) prepare(words []string) *wire.Prepare {
	p := &wire.Prepare{Txn: txnID(words[0]), Primary: 1}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "primary":
			p.Primary = kv.ShardID(s.revision(value))
		case "wait":
			p.Wait = true
		case "lease":
			p.Leases = append(p.Leases, kv.LeaseID(s.revision(value)))
		case "at":
			p.Gather.At = s.revision(value)
		case "past":
			key, rev, _ := strings.Cut(value, "@")
			p.Gather.Reads = append(p.Gather.Reads,
				kv.RangeRequest{Range: span(key), Revision: s.revision(rev)})
		default:
			p.Locks = append(p.Locks, wire.Lock{Range: span(value), Write: name == "w"})
			p.Gather.Reads = append(p.Gather.Reads, kv.RangeRequest{Range: span(value)})
		}
	}
	return p
}

// ending reads how a transaction ends: its token, revision and writes.
func (s *story) ending(
	words []string, other func(kv.ShardID, uint64),
) (token uint64, rev kv.Revision, effect []byte) {
	part := &mvcc.Part{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "token":
			token = uint64(s.revision(value))
		case "rev":
			rev = s.revision(value)
		case "other":
			shard, of, _ := strings.Cut(value, ":")
			other(kv.ShardID(s.revision(shard)), uint64(s.revision(of)))
		default:
			part.Writes = append(part.Writes, mvcc.Write{
				Key: []byte(name), Value: []byte(value), Create: rev, Version: 1,
			})
			part.Subs = append(part.Subs, uint32(len(part.Subs)))
		}
	}
	if len(part.Writes) > 0 {
		effect = mvcc.AppendPart(nil, part)
	}
	return token, rev, effect
}

// heard n=1 pending|aborted|token=3 rev=20 a=x: the answer to the oldest request
// to another shard; a commit names what it does here.
func (s *story) heard() {
	n := s.node()
	ask := n.asks[0]
	n.asks = n.asks[1:]
	told := &wire.Outcome{State: wire.OutcomeCommitted}
	switch strings.TrimSpace(s.d.Input) {
	case "pending":
		told.State = wire.OutcomePending
	case "aborted":
		told.State = wire.OutcomeAborted
	default:
		part := &wire.Part{Shard: 1}
		part.Token, told.Revision, part.Effect = s.ending(strings.Fields(s.d.Input), nil)
		told.Part = part
	}
	n.input(func(r *Replica, _ *Output) { r.Heard(&ask, &wire.Response{Outcome: told}) })
}

// locks n=1: who holds keys, who waits for them, and what is known to be over.
func (s *story) locks() {
	r := s.node().replica
	for _, h := range r.locks.order {
		var b strings.Builder
		for _, l := range h.locks {
			fmt.Fprintf(&b, " %s", l.Start)
			if l.Write {
				b.WriteString("!")
			}
		}
		s.c.sayf("transaction %d holds%s above %v, token %d, primary %v", h.txn.Seq, b.String(),
			h.lower, h.token, h.primary)
	}
	for _, w := range r.locks.waiting {
		s.c.sayf("transaction %d waits", w.req.Txn.Seq)
	}
	for _, o := range r.locks.decided {
		text := fmt.Sprintf("transaction %d: %s", o.txn.Seq, showOutcome(&wire.Outcome{
			State: o.state, Revision: o.revision,
		}))
		if o.untold {
			text += ", others have to be told"
		}
		s.c.sayf("%s", text)
	}
	s.c.sayf("blocked: %d transactions, %d reads; closed %v", len(r.queue.blocked),
		len(r.reads.blocked), r.closed.upTo)
}

func showGathered(g *wire.Gathered) string {
	var b strings.Builder
	for i := range g.Parts {
		if p := &g.Parts[i]; p.Code != wire.CodeOK {
			fmt.Fprintf(&b, " (%s)", p.Text)
			continue
		}
		b.WriteString(showPairs(&g.Parts[i].Range))
	}
	return b.String()
}

func showOutcome(o *wire.Outcome) string {
	switch o.State {
	case wire.OutcomeAborted:
		return "aborted"
	case wire.OutcomeCommitted:
		text := fmt.Sprintf("committed at %v", o.Revision)
		if o.Part != nil {
			text += fmt.Sprintf(", token %d there", o.Part.Token)
		}
		return text
	}
	return "noted"
}

func showAsk(a *Ask) string {
	if told := a.Request.Resolve; told != nil {
		return fmt.Sprintf("tells %v that transaction %d is committed at %v", a.Shard,
			told.Txn.Seq, told.Revision)
	}
	return fmt.Sprintf("asks %v what became of transaction %d", a.Shard,
		a.Request.Settle.Txn.Seq)
}
