package sim

import (
	"fmt"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// describe says what a message is, for the trace.
func describe(m *wire.Message) string {
	switch {
	case m.Raft != nil:
		r := m.Raft.Msg
		text := fmt.Sprintf("%v %v %d→%d term %d log %d/%d commit %d", m.Raft.Shard, r.GetType(),
			r.GetFrom(), r.GetTo(), r.GetTerm(), r.GetIndex(), r.GetLogTerm(), r.GetCommit())
		if n := len(r.GetEntries()); n > 0 {
			text += fmt.Sprintf(" %d entries", n)
		}
		if r.GetReject() {
			text += fmt.Sprintf(" reject, hint %d", r.GetRejectHint())
		}
		return text
	case m.Request != nil:
		return fmt.Sprintf("request %x to %v: %s", m.Request.ID, m.Request.Shard,
			describeRequest(m.Request))
	case m.Response != nil:
		return fmt.Sprintf("response %x code %d %s %s", m.Response.ID, m.Response.Code,
			m.Response.Text, describeResponse(m.Response))
	case m.Greeting != nil:
		return fmt.Sprintf("greeting role %d reply %v known %v", m.Greeting.Role,
			m.Greeting.Reply, m.Greeting.Known)
	}
	return "nothing"
}

func describeRequest(r *wire.Request) string {
	switch {
	case r.Oracle != nil:
		return fmt.Sprintf("%d revisions", r.Oracle.Count)
	case r.Txn != nil:
		return describeTxn(r.Txn)
	case r.Range != nil:
		return fmt.Sprintf("%s at %v", describeRange(&r.Range.RangeRequest), r.Range.At)
	case r.Map != nil:
		return "the map"
	}
	return describeDemand(r)
}

func describeResponse(r *wire.Response) string {
	switch {
	case r.Oracle != nil:
		return fmt.Sprintf("%d from %v", r.Oracle.Count, r.Oracle.Base)
	case r.Txn != nil:
		return fmt.Sprintf("txn at %v", r.Txn.Revision)
	case r.Range != nil:
		return fmt.Sprintf("range at %v", r.Range.Revision)
	case r.Map != nil:
		return fmt.Sprintf("map of %d bytes", len(r.Map.Data))
	case r.Leader != 0:
		return fmt.Sprintf("leader %v", r.Leader)
	}
	return describeReply(r)
}

func describeTxn(t *kv.TxnRequest) string {
	var text strings.Builder
	for _, c := range t.Compares {
		text.WriteString("if " + describeCompare(&c) + " ")
	}
	text.WriteString(describeOps(t.Success))
	if len(t.Failure) > 0 {
		text.WriteString(" else " + describeOps(t.Failure))
	}
	return text.String()
}

// describeCompare says what is compared: `a00 mod = 28`.
func describeCompare(c *kv.Compare) string {
	targets := [...]string{"version", "create", "mod", "value", "lease"}
	relations := [...]string{"=", ">", "<", "≠"}
	what := describeKeys(c.Keys()) + " " + targets[c.Target] + " " + relations[c.Relation]
	if c.Target == kv.CompareValue {
		return fmt.Sprintf("%s %q", what, c.Value)
	}
	return fmt.Sprintf("%s %d", what, c.Number)
}

// describeKeys is a key, or a range of them.
func describeKeys(r kv.Range) string {
	if r.IsPoint() {
		return string(r.Start)
	}
	return r.String()
}

func describeOps(ops []kv.Op) string {
	var text strings.Builder
	for _, op := range ops {
		switch {
		case op.Put != nil:
			fmt.Fprintf(&text, "put %s=%s;", op.Put.Key, op.Put.Value)
		case op.Delete != nil:
			fmt.Fprintf(&text, "delete %s;", describeKeys(op.Delete.Range))
		case op.Range != nil:
			text.WriteString(describeRange(op.Range) + ";")
		case op.Txn != nil:
			text.WriteString("{" + describeTxn(op.Txn) + "};")
		}
	}
	return text.String()
}

func describeRange(r *kv.RangeRequest) string {
	var text strings.Builder
	text.WriteString("range " + describeKeys(r.Range))
	if r.Serializable {
		text.WriteString(" serializable")
	}
	if r.Revision > 0 {
		text.WriteString(fmt.Sprintf(" old %v", r.Revision))
	}
	if r.Limit > 0 {
		text.WriteString(fmt.Sprintf(" limit %d", r.Limit))
	}
	if r.BytesMax > 0 {
		text.WriteString(fmt.Sprintf(" bytes %d", r.BytesMax))
	}
	for _, option := range [...]struct {
		set  bool
		name string
	}{
		{r.Reverse, " reversed"},
		{r.KeysOnly, " keys"},
		{r.CountOnly, " count"},
		{r.WantCount, " counted"},
	} {
		if option.set {
			text.WriteString(option.name)
		}
	}
	return text.String()
}

func describeTxnResponse(t *kv.TxnResponse) string {
	text := t.Revision.String()
	if !t.Succeeded {
		text += " else"
	}
	parts := make([]string, len(t.Results))
	for i := range t.Results {
		parts[i] = describeResult(&t.Results[i])
	}
	if len(parts) == 0 {
		return text
	}
	return text + ": " + strings.Join(parts, "; ")
}

func describeResult(r *kv.Result) string {
	var text strings.Builder
	switch {
	case r.Put != nil:
		fmt.Fprintf(&text, "put version %d", r.Put.Version)
		if r.Put.Prev != nil {
			text.WriteString(" prev " + describeKV(*r.Put.Prev))
		}
	case r.Delete != nil:
		fmt.Fprintf(&text, "deleted %d", r.Delete.Deleted)
		for _, prev := range r.Delete.Prev {
			text.WriteString(" prev " + describeKV(prev))
		}
	case r.Range != nil:
		text.WriteString("read " + describeRangeResponse(r.Range))
	case r.Txn != nil:
		text.WriteString("{" + describeTxnResponse(r.Txn) + "}")
	}
	return text.String()
}

func describeRangeResponse(r *kv.RangeResponse) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%v [", r.Revision)
	for i, pair := range r.KVs {
		if i > 0 {
			text.WriteString(" ")
		}
		text.WriteString(describeKV(pair))
	}
	text.WriteString("]")
	if r.Count > 0 {
		fmt.Fprintf(&text, " count %d", r.Count)
	}
	if r.More {
		text.WriteString(" more")
	}
	return text.String()
}

// describeKV says what a key has: value, revision of the last change (of the creation,
// version).
func describeKV(p kv.KeyValue) string {
	text := fmt.Sprintf("%s=%s@%v(%v,%d)", p.Key, p.Value, p.ModRevision, p.CreateRevision,
		p.Version)
	if p.Lease != 0 {
		text += fmt.Sprintf(" lease %d", p.Lease)
	}
	return text
}

// describeWrites says what a transaction left.
func describeWrites(rev kv.Revision, writes []Write) string {
	parts := make([]string, len(writes))
	for i, w := range writes {
		parts[i] = describeKV(pairOf(w, rev))
		if w.Tombstone {
			parts[i] = w.Key + " deleted"
		}
	}
	return fmt.Sprintf("%v [%s]", rev, strings.Join(parts, " "))
}
