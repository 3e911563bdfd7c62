package kvtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// story runs the commands of a file in testdata:
//
//	put key=K value=V [lease=N] [prev] [ignore-value] [ignore-lease]
//	get KEYS [rev=R] [limit=N] [bytes-max=N] [reverse] [keys-only]
//	    [count-only] [count] [serializable]
//	delete KEYS [prev]
//	txn          (the transaction follows, see script.go)
//	compact rev=R
//	grant, keepalive, ttl, revoke, leases        (see story_lease.go)
//	watch, unwatch, events, ended, close         (see story_watch.go)
//
// KEYS is key=K, prefix=P, start=K end=K, from=K (no upper bound), all, or
// empty (the range of the empty key).
// Keys stand without Prefix. A revision R is +N, counted from the start of
// the story, or a plain number. An answer begins with the revision it came
// at; a write that changes something must be one after the last.
type story struct {
	*testCase
	// watcher is of the open stream, or nil; names are its watches.
	watcher *watcher
	names   map[string]kv.WatchID
}

func (s *story) command(t *testing.T, d *datadriven.TestData) string {
	s.T = t
	run, ok := map[string]func(*datadriven.TestData) (string, error){
		"get": s.get, "put": s.write, "delete": s.write, "txn": s.script, "compact": s.compact,
		"grant": s.grant, "keepalive": s.keepAlive, "ttl": s.timeToLive, "revoke": s.revoke,
		"leases": s.leases,
		"watch":  s.watch, "unwatch": s.unwatch, "events": s.events, "ended": s.ended,
		"close": s.closeStream,
	}[d.Cmd]
	if !ok {
		d.Fatalf(t, "unknown command %q", d.Cmd)
	}
	out, err := run(d)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return out
}

func (s *story) script(d *datadriven.TestData) (string, error) {
	req, err := parseTxn(d.Input, s.start)
	if err != nil {
		return "", err
	}
	return s.txn(req), nil
}

func (s *story) write(d *datadriven.TestData) (string, error) {
	op, err := parseOp(wordsOf(d), s.start)
	if err != nil {
		return "", err
	}
	return s.txn(kv.TxnRequest{Success: []kv.Op{op}}), nil
}

// wordsOf is the command line of d.
func wordsOf(d *datadriven.TestData) []string {
	words := []string{d.Cmd}
	for _, arg := range d.CmdArgs {
		words = append(words, arg.String())
	}
	return words
}

func (s *story) get(d *datadriven.TestData) (string, error) {
	op, err := parseOp(wordsOf(d), s.start)
	if err != nil {
		return "", err
	}
	resp, err := s.store.Range(s.ctx, *op.Range)
	if err != nil {
		return failure(err), nil
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", s.relative(resp.Revision))
	s.printRange(&out, op.Range, &resp, "")
	return out.String(), nil
}

func (s *story) txn(req kv.TxnRequest) string {
	resp, err := s.store.Txn(s.ctx, req)
	if err != nil {
		return failure(err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s", s.relative(resp.Revision))
	if len(req.Compares) > 0 {
		fmt.Fprintf(&out, " %s", branchName(resp.Succeeded))
	}
	out.WriteByte('\n')
	s.printResults(&out, branch(&req, resp.Succeeded), resp.Results, "")
	return out.String()
}

// compact answers with the current revision.
func (s *story) compact(d *datadriven.TestData) (string, error) {
	var text string
	d.ScanArgs(s.T, "rev", &text)
	rev, err := parseRevision(text, s.start)
	if err != nil {
		return "", err
	}
	current, err := s.store.Compact(s.ctx, rev)
	if err != nil {
		return failure(err), nil
	}
	return s.relative(current) + "\n", nil
}

func (s *story) printResults(out *strings.Builder, ops []kv.Op, results []kv.Result, in string) {
	if len(results) != len(ops) {
		s.Fatalf("%d results for %d operations", len(results), len(ops))
	}
	for i, result := range results {
		s.printResult(out, ops[i], result, in)
	}
}

func (s *story) printResult(out *strings.Builder, op kv.Op, result kv.Result, in string) {
	switch {
	case op.Range != nil && result.Range != nil:
		fmt.Fprintf(out, "%sgot\n", in)
		s.printRange(out, op.Range, result.Range, in+"  ")
	case op.Put != nil && result.Put != nil:
		fmt.Fprintf(out, "%sput, version %d\n", in, result.Put.Version)
		if prev := result.Put.Prev; prev != nil {
			fmt.Fprintf(out, "%s  before: %s\n", in, s.describeKV(prev, false))
		}
	case op.Delete != nil && result.Delete != nil:
		fmt.Fprintf(out, "%sdeleted %d\n", in, result.Delete.Deleted)
		for _, prev := range result.Delete.Prev {
			fmt.Fprintf(out, "%s  before: %s\n", in, s.describeKV(&prev, false))
		}
	case op.Txn != nil && result.Txn != nil:
		fmt.Fprintf(out, "%stxn %s\n", in, branchName(result.Txn.Succeeded))
		taken := branch(op.Txn, result.Txn.Succeeded)
		s.printResults(out, taken, result.Txn.Results, in+"  ")
	default:
		s.Fatalf("a result of another kind than its operation: %+v", result)
	}
}

func (s *story) printRange(
	out *strings.Builder, req *kv.RangeRequest, resp *kv.RangeResponse, in string,
) {
	for i := range resp.KVs {
		fmt.Fprintf(out, "%s%s\n", in, s.describeKV(&resp.KVs[i], req.KeysOnly))
	}
	if resp.More {
		fmt.Fprintf(out, "%smore\n", in)
	}
	if req.CountOnly || req.WantCount {
		fmt.Fprintf(out, "%scount %d\n", in, resp.Count)
	}
	if len(resp.KVs) == 0 && !req.CountOnly {
		fmt.Fprintf(out, "%snothing\n", in)
	}
}

func (s *story) describeKV(kv *kv.KeyValue, keysOnly bool) string {
	value := strconv.Quote(string(kv.Value))
	if keysOnly && len(kv.Value) == 0 {
		value = "-"
	}
	lease := ""
	if kv.Lease != 0 {
		lease = fmt.Sprintf(", lease %d", kv.Lease)
	}
	return fmt.Sprintf("%s = %s, created %s, modified %s, version %d%s",
		bare(kv.Key), value,
		s.relative(kv.CreateRevision), s.relative(kv.ModRevision), kv.Version, lease)
}

// bare is a key as stories write it.
func bare(key []byte) string { return strings.TrimPrefix(string(key), Prefix) }

func (s *story) relative(r kv.Revision) string { return fmt.Sprintf("+%d", r-s.start) }

func branchName(succeeded bool) string {
	if succeeded {
		return "then"
	}
	return "else"
}

func branch(req *kv.TxnRequest, succeeded bool) []kv.Op {
	if succeeded {
		return req.Success
	}
	return req.Failure
}
