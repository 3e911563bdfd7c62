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
//  1. It holds no user keys and no leases when a case begins; the suite
//     removes its own.
//  2. Nobody else writes and no leader changes: revisions are compared with
//     the one that a case began at, and every write must take exactly the next.
//  3. Nobody else compacts. A case that does leaves the floor where it is.
//
// A store that has shards is tested with its key space split at Splits; then
// most stories cross shards.
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

// Prefix begins the keys of nearly all cases.
const Prefix = "kvtest/"

// caseTimeout bounds every request of a case.
const caseTimeout = 30 * time.Second

// Splits are keys at which to split the store under test, ascending: between
// the keys of the stories, and some so that a range of theirs spans three.
func Splits() [][]byte {
	return [][]byte{
		{0x10},
		key("b"), key("b/2"), key("c"), key("n"),
		key("page/2"), key("r/2"), key("walk/d"),
	}
}

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
			datadriven.RunTestFromString(t, string(text), (&story{testCase: c}).command)
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
	{"too_long_keys", tooLongKeys},
	{"large_values", largeValues},
	{"largest_requests", largestRequests},
	{"many_operations", manyOperations},
	{"paging", paging},
	{"serializable", serializableReads},
	{"ended_context", endedContext},
	{"owned_answers", ownedAnswers},
	{"counters", counters},
	{"transfers", transfers},
	{"watch_history", watchHistory},
	{"long_history", longHistory},
	{"many_watches", manyWatches},
	{"removed_watches", removedWatches},
	{"ended_streams", endedStreams},
	{"owned_events", ownedEvents},
	{"lease_ids", leaseIDs},
	{"lease_keys", leaseKeys},
	{"lease_expiry", leaseExpiry},
	{"revoked_under_puts", revokedUnderPuts},
	{"compacted_under_reads", compactedUnderReads},
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
	leases, err := store.Leases(ctx)
	if err != nil || len(leases.IDs) > 0 {
		t.Fatalf("the store has the leases %v, error %v", leases.IDs, err)
	}
	c.start = all.Revision
	t.Cleanup(c.cleanUp)
	return c
}

// cleanUp removes what the case left, so that the next may begin.
func (c *testCase) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	c.ctx = ctx
	c.mustTxn(deleteOf(kv.Range{}))
	leases, err := c.store.Leases(ctx)
	if err != nil {
		c.Fatal(err)
	}
	for _, id := range leases.IDs {
		if _, err := c.store.LeaseRevoke(ctx, id); err != nil {
			c.Fatal(err)
		}
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
