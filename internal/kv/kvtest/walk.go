package kvtest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// randomWalk sends the same random requests to the store and to the fake and
// compares every answer, revisions counted from where each began.
func randomWalk(c *testCase) {
	const steps = 400
	w := &walk{testCase: c, fake: kvfake.New()}
	for seed := range uint64(steps) {
		if seed%3 == 0 {
			w.compareRange(seed)
		} else {
			w.compareTxn(seed)
		}
	}
}

type walk struct {
	*testCase
	fake *kvfake.Store
}

func (w *walk) compareRange(seed uint64) {
	wantReq := (&dice{newRand(seed), kv.FirstRevision}).readRequest()
	want, wantErr := w.fake.Range(w.ctx, wantReq)
	gotReq := (&dice{newRand(seed), w.start}).readRequest()
	got, gotErr := w.store.Range(w.ctx, gotReq)
	w.same(seed, printed(&got, w.start), printed(&want, kv.FirstRevision), gotErr, wantErr)
}

func (w *walk) compareTxn(seed uint64) {
	wantReq := (&dice{newRand(seed), kv.FirstRevision}).txn(0)
	want, wantErr := w.fake.Txn(w.ctx, wantReq)
	gotReq := (&dice{newRand(seed), w.start}).txn(0)
	got, gotErr := w.store.Txn(w.ctx, gotReq)
	w.same(seed, printedTxn(&got, w.start), printedTxn(&want, kv.FirstRevision), gotErr, wantErr)
}

func (w *walk) same(seed uint64, got, want string, gotErr, wantErr error) {
	w.Helper()
	switch {
	case gotErr != nil && wantErr != nil && failure(gotErr) == failure(wantErr):
	case gotErr != nil || wantErr != nil:
		w.Fatalf("seed %d: the error is %v, the fake's %v", seed, gotErr, wantErr)
	case got != want:
		w.Fatalf("seed %d:\ngot  %s\nwant %s", seed, got, want)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// dice makes random requests. Two dice of one seed make the same requests,
// each with revisions counted from its start.
type dice struct {
	*rand.Rand
	start kv.Revision
}

func (d *dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d *dice) revision() kv.Revision {
	return d.start + kv.Revision(d.IntN(60))
}

func (d *dice) key() []byte { return key(fmt.Sprintf("walk/%c", 'a'+d.IntN(8))) }

func (d *dice) keys() kv.Range {
	switch d.IntN(4) {
	case 0:
		return kv.PrefixRange(key("walk/"))
	case 1:
		return kv.Range{Start: d.key(), End: d.key()}
	}
	return kv.PointRange(d.key())
}

func (d *dice) readRequest() kv.RangeRequest {
	req := kv.RangeRequest{
		Range:     d.keys(),
		Limit:     d.IntN(4),
		KeysOnly:  d.chance(20),
		CountOnly: d.chance(20),
		WantCount: d.chance(20),
		Reverse:   d.chance(30),
	}
	if d.chance(20) {
		req.Revision = d.revision()
	}
	return req
}

func (d *dice) txn(depth int) kv.TxnRequest {
	var req kv.TxnRequest
	for range d.IntN(3) {
		req.Compares = append(req.Compares, d.compare())
	}
	req.Success = d.ops(1+d.IntN(3), depth)
	req.Failure = d.ops(d.IntN(3), depth)
	return req
}

func (d *dice) compare() kv.Compare {
	c := kv.Compare{
		Key:      d.key(),
		Target:   kv.Target(d.IntN(5)),
		Relation: kv.Relation(d.IntN(4)),
	}
	if d.chance(20) {
		c.RangeEnd = kv.PrefixRange(key("walk/")).End
	}
	switch c.Target {
	case kv.CompareCreate, kv.CompareMod:
		c.Number = int64(d.revision())
		if d.chance(40) {
			c.Number = 0
		}
	case kv.CompareVersion:
		c.Number = int64(d.IntN(4))
	case kv.CompareValue:
		c.Value = fmt.Append(nil, d.IntN(10))
	}
	return c
}

func (d *dice) ops(n, depth int) []kv.Op {
	ops := make([]kv.Op, n)
	for i := range ops {
		ops[i] = d.op(depth)
	}
	return ops
}

func (d *dice) op(depth int) kv.Op {
	switch n := d.IntN(10); {
	case n < 5:
		put := &kv.PutRequest{Key: d.key(), PrevKV: d.chance(30)}
		if put.IgnoreValue = d.chance(10); !put.IgnoreValue {
			put.Value = fmt.Append(nil, d.IntN(10))
		}
		return kv.Op{Put: put}
	case n < 7:
		return kv.Op{Delete: &kv.DeleteRequest{Range: d.keys(), PrevKV: d.chance(30)}}
	case n == 7 && depth < 2:
		nested := d.txn(depth + 1)
		return kv.Op{Txn: &nested}
	}
	req := d.readRequest()
	return kv.Op{Range: &req}
}

// printed is resp as text, revisions counted from start. An answer inside a
// transaction has no revision of its own, so resp's is left to the caller.
func printed(resp *kv.RangeResponse, start kv.Revision) string {
	out := fmt.Sprintf("+%d more=%v count=%d", resp.Revision-start, resp.More, resp.Count)
	return out + printedKVs(resp.KVs, start)
}

func printedKVs(kvs []kv.KeyValue, start kv.Revision) string {
	var out strings.Builder
	for i := range kvs {
		v := &kvs[i]
		fmt.Fprintf(&out, " %q=%q(+%d +%d %d %d)", v.Key, v.Value,
			v.CreateRevision-start, v.ModRevision-start, v.Version, v.Lease)
	}
	return out.String()
}

func printedTxn(resp *kv.TxnResponse, start kv.Revision) string {
	var out strings.Builder
	fmt.Fprintf(&out, "+%d %v [", resp.Revision-start, resp.Succeeded)
	for _, result := range resp.Results {
		switch {
		case result.Range != nil:
			inner := *result.Range
			inner.Revision = start
			fmt.Fprintf(&out, "got %s;", printed(&inner, start))
		case result.Put != nil:
			fmt.Fprintf(&out, "put %d", result.Put.Version)
			if result.Put.Prev != nil {
				out.WriteString(printedKVs([]kv.KeyValue{*result.Put.Prev}, start))
			}
			out.WriteByte(';')
		case result.Delete != nil:
			fmt.Fprintf(&out, "deleted %d%s;", result.Delete.Deleted,
				printedKVs(result.Delete.Prev, start))
		case result.Txn != nil:
			inner := *result.Txn
			inner.Revision = start
			out.WriteString(printedTxn(&inner, start))
		}
	}
	return out.String() + "]"
}
