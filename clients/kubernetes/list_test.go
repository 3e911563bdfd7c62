package kubernetes

import (
	"context"
	"testing"

	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

func TestList(t *testing.T) {
	runAll(t, lists, inPages, compacted, sizes)
}

var lists = []scenario{
	{name: "List/Streams", gates: streams, run: listStreams},
	{name: "List/Pages", gates: pages, run: listPages},
	{name: "ConsistentList/Streams", gates: streams, run: consistentList},
	{name: "ConsistentList/Pages", gates: pages, run: consistentList},
	{name: "GetListNonRecursive", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestGetListNonRecursive(ctx, t, f.advance, f)
	}},
	{name: "GetListRecursivePrefix", run: plain(storagetesting.RunTestGetListRecursivePrefix)},
	{name: "NamespaceScopedList", run: plain(storagetesting.RunTestNamespaceScopedList)},
	{name: "ListResourceVersionMatch", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestListResourceVersionMatch(ctx, t, f)
	}},
}

// listStreams fails if lists do not come as streams: the store would quietly
// fall back to pages if the cluster had no streams.
func listStreams(ctx context.Context, t *testing.T, f *fixture) {
	storagetesting.RunTestList(ctx, t, f, f.compact, false, f.lists)
	if f.kv.GetStreamReadsAndReset() == 0 {
		t.Error("no list came as a stream")
	}
}

func listPages(ctx context.Context, t *testing.T, f *fixture) {
	storagetesting.RunTestList(ctx, t, f, f.compact, false, f.lists)
	if n := f.kv.GetStreamReadsAndReset(); n != 0 {
		t.Errorf("%d lists came as streams", n)
	}
}

func consistentList(ctx context.Context, t *testing.T, f *fixture) {
	storagetesting.RunTestConsistentList(ctx, t, f, f.advance, false, true, false)
}

// inPages are lists of some objects at a time. They count requests, which
// asking for the compacted revision would disturb.
var inPages = []scenario{
	{name: "ListPaging", run: plain(storagetesting.RunTestListPaging)},
	{
		name: "ListContinuation", gates: noSnapshots,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestListContinuation(ctx, t, f, f.countRequests)
		},
	},
	{
		name: "ListPaginationRareObject", gates: noSnapshots,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestListPaginationRareObject(ctx, t, f, f.countRequests)
		},
	},
	{
		name: "ListContinuationWithFilter", gates: noSnapshots,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestListContinuationWithFilter(ctx, t, f, f.countRequests)
		},
	},
}

// pageObjectsMax bounds the pages of a list that looks for rare objects, each
// twice as large as the one before.
const pageObjectsMax = 10_000

// countRequests checks how many objects a list read, in how many requests.
// A cluster that says wrongly whether there is more makes them more or less.
func (f *fixture) countRequests(t *testing.T, limit, objects uint64) {
	t.Helper()
	if reads := f.marking.GetReadsAndReset(); reads != objects {
		t.Errorf("%d objects read instead of %d", reads, objects)
	}
	want, page := uint64(1), limit
	for sum := uint64(1); limit > 0 && sum < objects; want++ {
		page = min(2*page, pageObjectsMax)
		sum += page
	}
	if got := f.kv.GetReadsAndReset() + f.kv.GetStreamReadsAndReset(); got != want {
		t.Errorf("%d requests instead of %d", got, want)
	}
}

// compacted are lists of revisions that are no more.
var compacted = []scenario{
	{name: "CompactRevision", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestCompactRevision(ctx, t, f, f.advance, f.compact)
	}},
	{name: "ListInconsistentContinuation", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestListInconsistentContinuation(ctx, t, f, f.compact)
	}},
}

// sizes are how many objects there are and how large they are.
var sizes = []scenario{
	{name: "Stats", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestStats(ctx, t, f, f.codec, f.marking, false)
	}},
	{name: "StatsWithSizes", run: func(ctx context.Context, t *testing.T, f *fixture) {
		if err := f.EnableResourceSizeEstimation(f.keys); err != nil {
			t.Fatal(err)
		}
		storagetesting.RunTestStats(ctx, t, f, f.codec, f.marking, true)
	}},
}
