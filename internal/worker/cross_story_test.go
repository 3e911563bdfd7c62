package worker

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// crossRequest reads transactions that may span shards:
//
//	if a put b c …     (puts if a exists, else nothing)
//	read a b …         (reads, at one revision)
//	past 40 a put b    (reads a at revision 40, and puts)
func (s *story) crossRequest(words []string) (Request, bool) {
	txn := &kv.TxnRequest{}
	put := func(keys []string) {
		for _, key := range keys {
			put := &kv.PutRequest{Key: []byte(key), Value: []byte("v")}
			txn.Success = append(txn.Success, kv.Op{Put: put})
		}
	}
	read := func(key string, rev kv.Revision) {
		txn.Success = append(txn.Success, kv.Op{Range: &kv.RangeRequest{
			Range: kv.PointRange([]byte(key)), Revision: rev,
		}})
	}
	switch words[0] {
	case "if":
		txn.Compares = []kv.Compare{{
			Key: []byte(words[1]), Target: kv.CompareVersion, Relation: kv.Greater,
		}}
		put(words[3:])
	case "read":
		for _, key := range words[1:] {
			read(key, 0)
		}
	case "past":
		read(words[2], kv.Revision(s.int(words[1])))
		put(words[4:])
	default:
		return Request{}, false
	}
	return Request{Txn: txn}, true
}

// crossAnswer reads what a shard answers to its part of a transaction:
//
//	#1 prepared 7 a=x …    #1 gathered a=x …    #1 conflict    #1 aborted
//	#1 committed r9        #1 noted
func (s *story) crossAnswer(words []string) (wire.Response, bool) {
	req := s.scene.asked[s.index(words[0])-1].Message.Request
	switch words[1] {
	case "prepared":
		return wire.Response{Prepared: &wire.Prepared{
			Token:    uint64(s.int(words[2])),
			Gathered: s.gathered(req.Prepare.Gather.Reads, words[3:]),
		}}, true
	case "gathered":
		found := s.gathered(req.Gather.Reads, words[2:])
		return wire.Response{Gathered: &found}, true
	case "conflict":
		return wire.Response{Code: wire.CodeConflict}, true
	case "aborted":
		if req.Decide == nil {
			return wire.Response{Code: wire.CodeAborted}, true
		}
		return wire.Response{Outcome: &wire.Outcome{State: wire.OutcomeAborted}}, true
	case "committed":
		return wire.Response{Outcome: &wire.Outcome{
			State: wire.OutcomeCommitted, Revision: s.revision(words[2]),
		}}, true
	case "noted":
		return wire.Response{Outcome: &wire.Outcome{}}, true
	}
	return wire.Response{}, false
}

// gathered are the pairs that lie in what is read.
func (s *story) gathered(reads []kv.RangeRequest, pairs []string) wire.Gathered {
	var g wire.Gathered
	for _, read := range reads {
		var part wire.GatheredPart
		for _, word := range pairs {
			key, value, _ := strings.Cut(word, "=")
			if read.Contains([]byte(key)) {
				part.Range.KVs = append(part.Range.KVs, kv.KeyValue{
					Key: []byte(key), Value: []byte(value),
					CreateRevision: 5, ModRevision: 5, Version: 1,
				})
			}
		}
		g.Parts = append(g.Parts, part)
	}
	return g
}

// showCross shows what is asked of a shard for a transaction over several.
func showCross(req *wire.Request) (string, bool) {
	switch {
	case req.Prepare != nil && req.Prepare.Empty():
		return "still wanted", true
	case req.Prepare != nil:
		text := "prepare"
		if req.Prepare.Wait {
			text = "wait in line to prepare"
		}
		for _, l := range req.Prepare.Locks {
			text += " " + string(l.Start)
			if l.Write {
				text += "!"
			}
		}
		return text + showReads(&req.Prepare.Gather), true
	case req.Gather != nil:
		return "gather" + showReads(req.Gather), true
	case req.Decide != nil:
		var text strings.Builder
		fmt.Fprintf(&text, "commit at %v with token %d, %d bytes", req.Decide.Revision,
			req.Decide.Token, len(req.Decide.Effect))
		for _, p := range req.Decide.Others {
			fmt.Fprintf(&text, ", %v with token %d, %d bytes", p.Shard, p.Token, len(p.Effect))
		}
		return text.String(), true
	case req.Resolve != nil:
		return "give up", true
	}
	return "", false
}

func showReads(g *wire.Gather) string {
	var text strings.Builder
	text.WriteString(", reading")
	for _, read := range g.Reads {
		text.WriteString(" " + string(read.Start))
		if read.Revision != 0 {
			fmt.Fprintf(&text, " at %v", read.Revision)
		}
	}
	if g.At != 0 {
		fmt.Fprintf(&text, ", now %v", g.At)
	}
	return text.String()
}

// showTxn is a transaction's revision, and what it found.
func showTxn(r *kv.TxnResponse) string {
	var text strings.Builder
	text.WriteString(r.Revision.String())
	if !r.Succeeded {
		text.WriteString(" failed")
	}
	for _, res := range r.Results {
		if res.Range == nil {
			continue
		}
		for _, p := range res.Range.KVs {
			fmt.Fprintf(&text, " %s=%s", p.Key, p.Value)
		}
	}
	return text.String()
}
