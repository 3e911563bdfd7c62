package replica

import (
	"fmt"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// submit hands requests to a node, one a line: an id, what to do, and to which
// key.
//
//	1 put k v          3 get k                 6 del a c
//	2 new k v          4 get a c               7 mod k 5 v   (if its revision is 5)
//	                   5 get k at 9 | local | rev 9
func (s *story) submit() {
	for line := range strings.Lines(s.d.Input) {
		words := strings.Fields(line)
		var id uint64
		if _, err := fmt.Sscan(words[0], &id); err != nil {
			s.d.Fatalf(s.t, "%s: %v", line, err)
		}
		req := &wire.Request{ID: id, Shard: 1}
		switch {
		case words[1] == "get":
			req.Range = s.get(words[2:])
		case s.watching(req, words[1:]), s.compacting(req, words[1:]),
			s.leasing(req, words[1:]), s.crossing(req, words[1:]):
		default:
			req.Txn = s.txn(words[1], words[2:])
		}
		s.node().input(func(r *Replica, out *Output) {
			r.Submit(s.c.now, Origin{Node: 9, ID: id}, req, out)
		})
	}
}

func (s *story) get(words []string) *wire.RangeAt {
	req := &wire.RangeAt{}
	req.Range = kv.PointRange([]byte(words[0]))
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "at":
			i++
			req.At = s.revision(words[i])
		case "rev":
			i++
			req.Revision = s.revision(words[i])
		case "local":
			req.Serializable = true
		default:
			req.Range = kv.Range{Start: []byte(words[0]), End: []byte(words[i])}
		}
	}
	return req
}

func (s *story) revision(word string) kv.Revision {
	var rev int64
	if _, err := fmt.Sscan(word, &rev); err != nil {
		s.d.Fatalf(s.t, "%s: %v", word, err)
	}
	return kv.Revision(rev)
}

func (s *story) txn(what string, words []string) *kv.TxnRequest {
	key := []byte(words[0])
	put := func(value string) []kv.Op {
		return []kv.Op{{Put: &kv.PutRequest{Key: key, Value: []byte(value)}}}
	}
	switch what {
	case "put":
		return &kv.TxnRequest{Success: put(words[1])}
	case "new":
		return &kv.TxnRequest{
			Compares: []kv.Compare{{Key: key, Target: kv.CompareCreate}}, Success: put(words[1]),
		}
	case "mod":
		return &kv.TxnRequest{
			Compares: []kv.Compare{{
				Key: key, Target: kv.CompareMod, Number: int64(s.revision(words[1])),
			}},
			Success: put(words[2]),
		}
	case "del":
		all := kv.Range{Start: key, End: []byte(words[1])}
		return &kv.TxnRequest{Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: all}}}}
	case "keep": // the lease that the key has
		return &kv.TxnRequest{Success: []kv.Op{{Put: &kv.PutRequest{
			Key: key, Value: []byte(words[1]), IgnoreLease: true,
		}}}}
	case "look": // reads at a revision, and writes, another key if one is named
		at := &kv.RangeRequest{Range: kv.PointRange(key), Revision: s.revision(words[1])}
		if len(words) > 3 {
			key = []byte(words[3])
		}
		return &kv.TxnRequest{Success: append([]kv.Op{{Range: at}}, put(words[2])...)}
	}
	s.d.Fatalf(s.t, "unknown request %s", what)
	return nil
}

func showAnswer(r *wire.Response) string {
	switch {
	case r.Code == wire.CodeNotLeader && r.Leader != 0:
		return fmt.Sprintf("%d: ask %v", r.ID, r.Leader)
	case r.Code == wire.CodeNotLeader:
		return fmt.Sprintf("%d: ask somebody else", r.ID)
	case r.Code == wire.CodeRetry:
		return fmt.Sprintf("%d: try again", r.ID)
	case r.Code == wire.CodeAborted:
		return fmt.Sprintf("%d: aborted", r.ID)
	case r.Code == wire.CodeWrongShard:
		return fmt.Sprintf("%d: wrong shard", r.ID)
	case r.Code == wire.CodeLeaseInactive:
		return fmt.Sprintf("%d: lease %d is not active", r.ID, r.Lease.Lease.ID)
	case r.Code != wire.CodeOK:
		return fmt.Sprintf("%d: %v", r.ID, r.Err())
	case r.Compacted != nil:
		return fmt.Sprintf("%d: the floor is %v", r.ID, r.Compacted.Floor)
	case r.Fed != nil:
		return fmt.Sprintf("%d: %s", r.ID, showFed(r.Fed))
	case r.Closed != nil:
		return fmt.Sprintf("%d: %v is closed at index %d", r.ID, r.Closed.Revision, r.Closed.Index)
	case r.Prepared != nil:
		text := fmt.Sprintf("%d: prepared with token %d,%s", r.ID, r.Prepared.Token,
			showGathered(&r.Prepared.Gathered))
		if missing := r.Prepared.Missing; len(missing) > 0 {
			text += fmt.Sprintf(" without leases %v", missing)
		}
		return text
	case r.Gathered != nil:
		return fmt.Sprintf("%d: gathered%s", r.ID, showGathered(r.Gathered))
	case r.Outcome != nil:
		return fmt.Sprintf("%d: %s", r.ID, showOutcome(r.Outcome))
	case r.Lease != nil:
		return fmt.Sprintf("%d: %s", r.ID, showLeaseResponse(r.Lease))
	case r.Range != nil:
		return fmt.Sprintf("%d: at %v%s", r.ID, r.Range.Revision, showPairs(r.Range))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %v", r.ID, r.Txn.Revision)
	if !r.Txn.Succeeded {
		b.WriteString(" failed")
	}
	for _, res := range r.Txn.Results {
		switch {
		case res.Put != nil:
			fmt.Fprintf(&b, " put v%d", res.Put.Version)
		case res.Delete != nil:
			fmt.Fprintf(&b, " deleted %d", res.Delete.Deleted)
		case res.Range != nil:
			b.WriteString(showPairs(res.Range))
		}
	}
	return b.String()
}

func showPairs(r *kv.RangeResponse) string {
	if len(r.KVs) == 0 {
		return " nothing"
	}
	var b strings.Builder
	for _, p := range r.KVs {
		fmt.Fprintf(&b, " %s=%s@%v", p.Key, p.Value, p.ModRevision)
	}
	return b.String()
}

func showParcel(p parcel) string {
	m := p.msg.Msg
	text := fmt.Sprintf("%v → %v %v term %d", p.from, p.to, m.GetType(), m.GetTerm())
	if n := len(m.GetEntries()); n > 0 {
		text += fmt.Sprintf(" entries %d to %d",
			m.GetEntries()[0].GetIndex(), m.GetEntries()[n-1].GetIndex())
	}
	if m.GetReject() {
		text += " rejected"
	}
	return text
}

// show tells the state of a node's replica.
func (s *story) show() {
	n := s.node()
	r := n.replica
	if r == nil {
		s.c.sayf("%v has no replica", n.id)
		return
	}
	part := "follows"
	switch {
	case r.role.serving:
		part = "serves"
	case r.role.leader:
		part = "leads"
	}
	s.c.sayf("%v %s in term %d, leader %v, applied %d at %v, closed %v", n.id, part, r.role.term,
		r.Leader(), r.state.applied.Index, r.state.applied.Revision, r.closed.upTo)
	q := &r.queue
	s.c.sayf("  transactions: %d arrived, %d evaluated, %d in flight, %d in the overlay",
		len(q.arrived), len(q.evaluated), len(q.inflight), q.overlay.Len())
	s.c.sayf("  reads: %d fresh, %d waiting, %d unsure, %d asked", len(r.reads.fresh),
		len(r.reads.waiting), len(r.reads.unsure), len(r.reads.asked))
	if r.role.leader {
		s.c.sayf("  lease: %s", showLease(r, s.c.now))
	}
	if r.lease.promised > s.c.now {
		s.c.sayf("  votes for nobody for %v", time.Duration(r.lease.promised-s.c.now))
	}
	s.c.sayf("  members:%s", showMembers(r))
}

func showLease(r *Replica, now wire.Instant) string {
	switch {
	case r.lease.barred:
		return "given up"
	case !r.HoldsLease(now):
		return "not held"
	case r.state.desc.Voters() == 1:
		return "for ever"
	}
	return time.Duration(r.leaseEnd() - now).String()
}

func showMembers(r *Replica) string {
	var b strings.Builder
	for _, rep := range r.state.desc.Replicas {
		fmt.Fprintf(&b, " %d on %v", rep.ID, rep.Node)
		if rep.Learner {
			b.WriteString(" (learner)")
		}
	}
	return b.String()
}
