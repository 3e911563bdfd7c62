package kvtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// largeValues reads, watches and replaces a value of a megabyte.
func largeValues(c *testCase) {
	k, value := key("large"), bytes.Repeat([]byte{0xfe}, 1<<20)
	w := c.newWatcher().mustAdd(kv.WatchRequest{Range: kv.PointRange(k), PrevKV: true})
	c.mustWrite(putOf(k, value))
	got := c.mustRange(kv.RangeRequest{Range: kv.PointRange(k)})
	if len(got.KVs) != 1 || !bytes.Equal(got.KVs[0].Value, value) {
		c.Fatal("the value cannot be read back")
	}
	c.mustWrite(deleteOf(kv.PointRange(k)))
	w.mustTell(2)
	put, deleted := w.events[0], w.events[1]
	if !bytes.Equal(put.KV.Value, value) || !bytes.Equal(deleted.Prev.Value, value) {
		c.Fatal("the value cannot be watched")
	}
}

// largestRequests holds the bound on the size of a transaction.
func largestRequests(c *testCase) {
	k := key("large")
	most := kv.DefaultLimits.RequestBytesMax - len(k)
	value := bytes.Repeat([]byte{0xfe}, most)
	c.mustWrite(putOf(k, value))
	got := c.mustRange(kv.RangeRequest{Range: kv.PointRange(k)})
	if len(got.KVs) != 1 || !bytes.Equal(got.KVs[0].Value, value) {
		c.Fatal("the largest value cannot be read back")
	}
	_, err := c.store.Txn(c.ctx, putOf(k, append(value, 1)))
	c.mustFail(err, kv.ErrTooLarge, "a value over the bound")

	half := value[:most/2]
	_, err = c.store.Txn(c.ctx, kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: key("a/half"), Value: half}},
		{Put: &kv.PutRequest{Key: key("n/half"), Value: half}},
	}})
	c.mustFail(err, kv.ErrTooLarge, "values that add up to more than the bound")
	if n := c.count(""); n != 1 {
		c.Fatalf("a refused transaction left %d keys", n-1)
	}
}

// manyOperations holds the bound on operations, also in nested transactions.
func manyOperations(c *testCase) {
	most := kv.DefaultLimits.OpsMax
	c.mustWrite(kv.TxnRequest{Success: puts("many/", most)})
	if n := c.count("many/"); n != int64(most) {
		c.Fatalf("%d keys, want %d", n, most)
	}
	compares := make([]kv.Compare, most+1)
	for i := range compares {
		compares[i] = kv.Compare{Key: key("many/0"), Relation: kv.Greater}
	}
	c.mustTxn(kv.TxnRequest{Compares: compares[:most]})
	// A nested transaction gets what the longest list around it left.
	nested := func(n int) []kv.Op {
		return append(puts("outer/", most-3), kv.Op{Txn: &kv.TxnRequest{Success: puts("in/", n)}})
	}
	within := func(inner kv.TxnRequest) []kv.Op { return []kv.Op{{Txn: &inner}} }
	c.mustWrite(kv.TxnRequest{Success: nested(2)})
	c.mustWrite(kv.TxnRequest{Success: nested(2), Failure: within(kv.TxnRequest{
		Compares: compares[:1], Success: puts("no/", 2), Failure: puts("no/", 2),
	})})
	c.mustTxn(kv.TxnRequest{Success: within(kv.TxnRequest{Compares: compares[:most-1]})})
	for name, req := range map[string]kv.TxnRequest{
		"operations":        {Success: puts("no/", most+1)},
		"else operations":   {Failure: puts("no/", most+1)},
		"compares":          {Compares: compares},
		"nested operations": {Success: nested(3)},
		"operations below many compares": {
			Compares: compares[:most-1], Failure: within(kv.TxnRequest{Success: puts("no/", 2)}),
		},
		"operations in a branch beside a long one": {
			Success: nested(2), Failure: within(kv.TxnRequest{Failure: puts("no/", 3)}),
		},
		"nested compares": {Success: within(kv.TxnRequest{Compares: compares[:most]})},
		"operations at the third depth": {
			Success: within(kv.TxnRequest{Success: append(puts("no/", most-3), within(
				kv.TxnRequest{Success: puts("no/in/", 3)})...)}),
		},
	} {
		_, err := c.store.Txn(c.ctx, req)
		c.mustFail(err, kv.ErrTooManyOps, "too many %s", name)
	}
	if n := c.count("no/"); n != 0 {
		c.Fatalf("refused transactions left %d keys", n)
	}
}

func puts(prefix string, n int) []kv.Op {
	ops := make([]kv.Op, n)
	for i := range ops {
		ops[i].Put = &kv.PutRequest{Key: key(fmt.Sprint(prefix, i))}
	}
	return ops
}

func (c *testCase) count(prefix string) int64 {
	c.Helper()
	keys := kv.PrefixRange(key(prefix))
	return c.mustRange(kv.RangeRequest{Range: keys, CountOnly: true}).Count
}

// paging walks a range in pages of a bounded size, forwards and backwards,
// at one revision while the keys change underneath.
func paging(c *testCase) {
	const keys, valueBytes = 40, 100
	pairBytes := len(key("page/00")) + valueBytes
	for i := range keys {
		value := bytes.Repeat([]byte{byte(i)}, valueBytes)
		c.mustWrite(putOf(key(fmt.Sprintf("page/%02d", i)), value))
	}
	at := c.revision()
	c.mustWrite(deleteOf(kv.PrefixRange(key("page/1"))))
	for _, req := range []kv.RangeRequest{
		{BytesMax: 1},
		{BytesMax: 2 * pairBytes},
		{BytesMax: 2*pairBytes - 1},
		{BytesMax: 2*pairBytes + 1},
		{BytesMax: 450, Reverse: true},
		{BytesMax: 450, Limit: 3},
		{Limit: 7},
		{Limit: 7, Reverse: true},
		{BytesMax: 60, KeysOnly: true},
		{BytesMax: 1 << 20},
	} {
		req.Range, req.Revision = kv.PrefixRange(key("page/")), at
		c.walkPages(req, keys)
	}
}

// walkPages checks that the pages of req hold the keys from 0 to want-1 in
// order, that none but the last is smaller than it may be, and none larger.
func (c *testCase) walkPages(req kv.RangeRequest, want int) {
	c.Helper()
	seen := 0
	for {
		page := c.mustRange(req)
		size := 0
		for i, got := range page.KVs {
			index := seen
			if req.Reverse {
				index = want - 1 - seen
			}
			if string(got.Key) != string(key(fmt.Sprintf("page/%02d", index))) {
				c.Fatalf("key %d of %+v is %q", seen, req, got.Key)
			}
			if req.BytesMax > 0 && i > 0 && size >= req.BytesMax {
				c.Fatalf("a page of %+v goes on after %d bytes", req, size)
			}
			size += len(got.Key) + len(got.Value)
			seen++
		}
		if !page.More {
			break
		}
		if len(page.KVs) == 0 {
			c.Fatalf("an empty page of %+v says that there is more", req)
		}
		last := page.KVs[len(page.KVs)-1].Key
		if req.Reverse {
			req.End = last
		} else {
			req.Start = append(last, 0)
		}
	}
	if seen != want {
		c.Fatalf("the pages of %+v hold %d keys, want %d", req, seen, want)
	}
}

// serializableReads may be stale, but are what some revision was.
func serializableReads(c *testCase) {
	for i := range 10 {
		c.mustWrite(putOf(key("s"), fmt.Append(nil, i)))
		keys := kv.PrefixRange(key("s"))
		stale := c.mustRange(kv.RangeRequest{Range: keys, Serializable: true})
		exact := c.mustRange(kv.RangeRequest{Range: keys, Revision: stale.Revision})
		if got, want := fmt.Sprint(stale.KVs), fmt.Sprint(exact.KVs); got != want {
			c.Fatalf("read %s at %v, which was %s", got, stale.Revision, want)
		}
	}
}

// endedContext checks that a request whose time is over has no effect.
func endedContext(c *testCase) {
	ended, cancel := context.WithCancel(c.ctx)
	cancel()
	before := c.revision()
	if _, err := c.store.Txn(ended, putOf(key("late"), nil)); err == nil {
		c.Fatal("a write whose context has ended succeeded")
	}
	if _, err := c.store.Range(ended, kv.RangeRequest{}); err == nil {
		c.Fatal("a read whose context has ended succeeded")
	}
	if after := c.revision(); after != before {
		c.Fatalf("the revision went from %v to %v", before, after)
	}
}

// ownedAnswers checks that nobody else reads or writes what a caller gets,
// and that a request may be changed once it is answered.
func ownedAnswers(c *testCase) {
	k, value := key("mine"), []byte("value")
	c.mustWrite(putOf(k, value))
	copy(k, "XXXXX")
	copy(value, "XXXXX")
	asked := kv.PointRange(key("mine"))
	read := func() kv.KeyValue { return c.mustRange(kv.RangeRequest{Range: asked}).KVs[0] }
	first := read()
	copy(first.Value, "YYYYY")
	copy(first.Key, "YYYYY")
	if !bytes.Equal(asked.Start, key("mine")) {
		c.Fatalf("the answer's key is the request's: it became %q", asked.Start)
	}
	if second := read(); string(second.Value) != "value" || !bytes.Equal(second.Key, key("mine")) {
		c.Fatalf("the stored pair became %q = %q", second.Key, second.Value)
	}
}

func status(c *testCase) {
	c.mustWrite(putOf(key("status"), nil))
	at := c.revision()
	got, err := c.store.Status(c.ctx)
	if err != nil {
		c.Fatal(err)
	}
	switch {
	case got.Revision < at:
		c.Fatalf("status tells revision %v after %v", got.Revision, at)
	case !got.Ready || got.Waiting != "":
		c.Fatalf("the node works, but is not ready: %q", got.Waiting)
	case got.Node == 0 || got.Version == "":
		c.Fatalf("the node does not say who it is: %+v", got)
	}
}
