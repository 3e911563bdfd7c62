// Package kvtest is the conformance suite of kv.Store. The fake, the HTTP
// client and a node all pass it, so code written against one holds on the
// others.
//
// It consists of stories (testdata, annotated, one a subject), of cases in Go
// for what does not read well as text (odd keys, limits, paging, concurrency),
// and of a random walk that compares every answer with kvfake's.
//
// What a store must offer to be tested:
//
//  1. It holds no user keys when a case begins; the suite removes its own.
//  2. All keys that begin with Prefix lie in one shard. Keys outside of it are
//     only used one at a time.
//  3. Nobody else writes: revisions are compared with the one that a case
//     began at, and every write must take exactly the next one.
package kvtest

import (
	"context"
	"embed"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/miruvor/miruvor/internal/kv"
)

// Prefix begins the keys of all cases that need them in one shard.
const Prefix = "kvtest/"

// caseTimeout bounds every request of a case.
const caseTimeout = 30 * time.Second

//go:embed testdata/*.txt
var stories embed.FS

// Run runs the suite. open is called once a case and may return the same
// store every time.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	entries, err := stories.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Run(strings.TrimSuffix(entry.Name(), ".txt"), func(t *testing.T) {
			text, err := stories.ReadFile(path.Join("testdata", entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			c := begin(t, open(t))
			datadriven.RunTestFromString(t, string(text), (&story{c}).command)
		})
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { tc.run(begin(t, open(t))) })
	}
}

var cases = []struct {
	name string
	run  func(*testCase)
}{
	{"odd_keys", oddKeys},
	{"odd_values", oddValues},
	{"long_keys", longKeys},
	{"large_requests", largeRequests},
	{"many_operations", manyOperations},
	{"paging", paging},
	{"serializable", serializableReads},
	{"ended_context", endedContext},
	{"owned_answers", ownedAnswers},
	{"counters", counters},
	{"random_walk", randomWalk},
	{"status", status},
}

// testCase is one case under way: a store and the revision it began at.
type testCase struct {
	*testing.T
	store kv.Store
	ctx   context.Context
	start kv.Revision
}

func begin(t *testing.T, store kv.Store) *testCase {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	t.Cleanup(cancel)
	c := &testCase{T: t, store: store, ctx: ctx}
	all := c.mustRange(kv.RangeRequest{})
	if len(all.KVs) > 0 {
		t.Fatalf("the store is not empty, it holds %q", all.KVs[0].Key)
	}
	c.start = all.Revision
	t.Cleanup(c.removeKeys)
	return c
}

// removeKeys deletes what the case left, so that the next may begin. Keys
// under Prefix go at once, others one by one.
func (c *testCase) removeKeys() {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	c.ctx = ctx
	c.mustTxn(deleteOf(kv.PrefixRange([]byte(Prefix))))
	for _, left := range c.mustRange(kv.RangeRequest{KeysOnly: true}).KVs {
		c.mustTxn(deleteOf(kv.PointRange(left.Key)))
	}
}

func (c *testCase) mustRange(req kv.RangeRequest) kv.RangeResponse {
	c.Helper()
	resp, err := c.store.Range(c.ctx, req)
	if err != nil {
		c.Fatalf("range %v: %v", req.Range, err)
	}
	return resp
}

func (c *testCase) mustTxn(req kv.TxnRequest) kv.TxnResponse {
	c.Helper()
	resp, err := c.store.Txn(c.ctx, req)
	if err != nil {
		c.Fatalf("txn %v: %v", describe(&req), err)
	}
	return resp
}

// mustWrite runs a transaction that writes and checks that it took exactly
// the next revision.
func (c *testCase) mustWrite(req kv.TxnRequest) kv.TxnResponse {
	c.Helper()
	before := c.revision()
	resp := c.mustTxn(req)
	if resp.Revision != before+1 {
		c.Fatalf("a write after %v took %v, not the next", before, resp.Revision)
	}
	return resp
}

func (c *testCase) revision() kv.Revision {
	c.Helper()
	return c.mustRange(kv.RangeRequest{Range: kv.PrefixRange([]byte(Prefix)), Limit: 1}).Revision
}

func putOf(key, value []byte) kv.TxnRequest {
	return kv.TxnRequest{Success: []kv.Op{{Put: &kv.PutRequest{Key: key, Value: value}}}}
}

func deleteOf(keys kv.Range) kv.TxnRequest {
	return kv.TxnRequest{Success: []kv.Op{{Delete: &kv.DeleteRequest{Range: keys}}}}
}

func key(suffix string) []byte { return []byte(Prefix + suffix) }
