package mvcc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// The language of the stories' transactions. A line that is indented below
// "then txn" or "else txn" belongs to the transaction inside.
//
//	if mod|create|version|lease|value KEYS =|!=|<|> OPERAND
//	then|else get KEYS [limit=N bytes=N rev=N keys count counted reverse]
//	then|else put KEY VALUE [lease=N prev keep-value keep-lease]
//	then|else del KEYS [prev]
//	then|else nothing
//
// KEYS are a, a* (all that begin so), a..c (c not included), a.. or ..c.

func parseTxn(t *testing.T, input string) *kv.TxnRequest {
	req, left := parseBlock(t, strings.Split(strings.TrimRight(input, "\n"), "\n"), 0)
	if len(left) > 0 {
		t.Fatalf("bad indentation: %q", left[0])
	}
	return req
}

func parseBlock(t *testing.T, lines []string, depth int) (*kv.TxnRequest, []string) {
	req := &kv.TxnRequest{}
	for len(lines) > 0 {
		line := strings.TrimLeft(lines[0], "\t ")
		if len(lines[0])-len(line) < depth || line == "" {
			break
		}
		f := strings.Fields(line)
		lines = lines[1:]
		if f[0] == "if" {
			req.Compares = append(req.Compares, parseCompare(t, f[1:]))
			continue
		}
		var op kv.Op
		if f[1] == "txn" {
			op.Txn, lines = parseBlock(t, lines, depth+1)
		} else {
			op = parseOp(t, f[1:])
		}
		switch f[0] {
		case "then":
			req.Success = append(req.Success, op)
		case "else":
			req.Failure = append(req.Failure, op)
		default:
			t.Fatalf("bad line %q", line)
		}
	}
	return req, lines
}

func parseCompare(t *testing.T, f []string) kv.Compare {
	c := kv.Compare{
		Target: map[string]kv.Target{
			"version": kv.CompareVersion, "create": kv.CompareCreate, "mod": kv.CompareMod,
			"value": kv.CompareValue, "lease": kv.CompareLease,
		}[f[0]],
		Relation: map[string]kv.Relation{
			"=": kv.Equal, "!=": kv.NotEqual, "<": kv.Less, ">": kv.Greater,
		}[f[2]],
	}
	keys := parseKeys(t, f[1])
	c.Key = keys.Start
	switch {
	case keys.End == nil:
		c.RangeEnd = []byte{0}
	case !keys.IsPoint():
		c.RangeEnd = keys.End
	}
	if c.Target == kv.CompareValue {
		c.Value = []byte(f[3])
		return c
	}
	c.Number = parseNumber(t, f[3])
	return c
}

func parseOp(t *testing.T, f []string) kv.Op {
	switch f[0] {
	case "get":
		return kv.Op{Range: parseRange(t, f[1:])}
	case "put":
		put := &kv.PutRequest{Key: []byte(f[1]), Value: []byte(f[2])}
		for _, option := range f[3:] {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "lease":
				put.Lease = kv.LeaseID(parseNumber(t, value))
			case "prev":
				put.PrevKV = true
			case "keep-value":
				put.IgnoreValue, put.Value = true, nil
			case "keep-lease":
				put.IgnoreLease = true
			default:
				t.Fatalf("unknown option %q", option)
			}
		}
		return kv.Op{Put: put}
	case "del":
		return kv.Op{Delete: &kv.DeleteRequest{
			Range: parseKeys(t, f[1]), PrevKV: len(f) > 2 && f[2] == "prev",
		}}
	case "nothing":
		return kv.Op{}
	}
	t.Fatalf("unknown operation %q", f)
	return kv.Op{}
}

func parseRange(t *testing.T, f []string) *kv.RangeRequest {
	req := &kv.RangeRequest{Range: parseKeys(t, f[0])}
	for _, option := range f[1:] {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "limit":
			req.Limit = int(parseNumber(t, value))
		case "bytes":
			req.BytesMax = int(parseNumber(t, value))
		case "rev":
			req.Revision = kv.Revision(parseNumber(t, value))
		case "keys":
			req.KeysOnly = true
		case "count":
			req.CountOnly = true
		case "counted":
			req.WantCount = true
		case "reverse":
			req.Reverse = true
		default:
			t.Fatalf("unknown option %q", option)
		}
	}
	return req
}

func parseKeys(t *testing.T, s string) kv.Range {
	if start, end, isRange := strings.Cut(s, ".."); isRange {
		r := kv.Range{Start: []byte(start)}
		if end != "" {
			r.End = []byte(end)
		}
		return r
	}
	if prefix, isPrefix := strings.CutSuffix(s, "*"); isPrefix {
		return kv.PrefixRange([]byte(prefix))
	}
	return kv.PointRange([]byte(s))
}

func parseNumber(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func printTxn(resp *kv.TxnResponse, indent string) string {
	var out strings.Builder
	outcome := "succeeded"
	if !resp.Succeeded {
		outcome = "failed"
	}
	fmt.Fprintf(&out, "%s at %s\n", outcome, printRevision(resp.Revision))
	for _, r := range resp.Results {
		fmt.Fprintf(&out, "%s  ", indent)
		switch {
		case r.Range != nil:
			fmt.Fprintf(&out, "%s\n", printRange(r.Range))
		case r.Put != nil:
			fmt.Fprintf(&out, "put version %d", r.Put.Version)
			if r.Put.Prev != nil {
				fmt.Fprintf(&out, ", before %s", printKV(*r.Put.Prev))
			}
			out.WriteString("\n")
		case r.Delete != nil:
			fmt.Fprintf(&out, "deleted %d%s\n", r.Delete.Deleted, printKVs(r.Delete.Prev))
		case r.Txn != nil:
			out.WriteString(printTxn(r.Txn, indent+"  "))
		}
	}
	return out.String()
}

func printRange(resp *kv.RangeResponse) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "at %s%s", printRevision(resp.Revision), printKVs(resp.KVs))
	if resp.More {
		out.WriteString(", more")
	}
	if resp.Count > 0 {
		fmt.Fprintf(&out, ", count %d", resp.Count)
	}
	return out.String()
}

func printKVs(kvs []kv.KeyValue) string {
	var out strings.Builder
	for i, v := range kvs {
		if i == 0 {
			out.WriteString(": ")
		} else {
			out.WriteString("; ")
		}
		out.WriteString(printKV(v))
	}
	return out.String()
}

// printKV prints key=value, then create, mod and version, and the lease.
func printKV(v kv.KeyValue) string {
	s := fmt.Sprintf("%s=%s %s %s v%d", v.Key, v.Value,
		printRevision(v.CreateRevision), printRevision(v.ModRevision), v.Version)
	if v.Lease != 0 {
		s += fmt.Sprintf(" lease %d", v.Lease)
	}
	return s
}

func printWrite(w Write) string {
	before := ""
	if w.PrevLease != 0 {
		before = fmt.Sprintf(" off lease %d", w.PrevLease)
	}
	if w.Tombstone {
		return fmt.Sprintf("%s deleted%s", w.Key, before)
	}
	return fmt.Sprintf("%s=%s %s v%d%s", w.Key, w.Value, printRevision(w.Create), w.Version,
		before)
}

func printRevision(rev kv.Revision) string {
	if IsProvisional(rev) {
		return fmt.Sprintf("#%d", ProvisionalSeq(rev))
	}
	return rev.String()
}
