package kubernetes

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

func TestWatch(t *testing.T) {
	runAll(t, watches, watchesProgress, watchesFail, watchesList("Streams", true),
		watchesList("Pages", false))
}

var watches = []scenario{
	{name: "Watch", run: plain(storagetesting.RunTestWatch)},
	{name: "ClusterScopedWatch", run: plain(storagetesting.RunTestClusterScopedWatch)},
	{name: "NamespaceScopedWatch", run: plain(storagetesting.RunTestNamespaceScopedWatch)},
	{name: "DeleteTriggerWatch", run: plain(storagetesting.RunTestDeleteTriggerWatch)},
	{name: "WatchFromZero", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestWatchFromZero(ctx, t, f, f.compact)
	}},
	{name: "WatchFromNonZero", run: plain(storagetesting.RunTestWatchFromNonZero)},
	{name: "DelayedWatchDelivery", run: plain(storagetesting.RunTestDelayedWatchDelivery)},
	{name: "WatchContextCancel", run: plain(storagetesting.RunTestWatchContextCancel)},
	{name: "WatcherTimeout", run: plain(storagetesting.RunTestWatcherTimeout)},
	{
		name: "WatchDeleteEventObjectHaveLatestRV",
		run:  plain(storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV),
	},
	{name: "WatchInitializationSignal", run: plain(storagetesting.RunTestWatchInitializationSignal)},
	{
		name: "SendInitialEventsBackwardCompatibility",
		run:  plain(storagetesting.RunSendInitialEventsBackwardCompatibility),
	},
}

// watchesProgress need a cluster that reports progress every second.
var watchesProgress = []scenario{
	{name: "ProgressNotify", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunOptionalTestProgressNotify(ctx, t, f, f.advance)
	}},
	{name: "WatchDispatchBookmarkEvents", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, f, false)
	}},
}

var watchesFail = []scenario{
	{name: "WatchError", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestWatchError(ctx, t, f)
	}},
	{
		name: "WatchWithUnsafeDelete", gates: deletesUnsafely,
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunTestWatchWithUnsafeDelete(ctx, t, f, errCorrupt(ctx))
		},
	},
	{
		name: "WatchErrorIsBlockingFurtherEvents",
		run: func(ctx context.Context, t *testing.T, f *fixture) {
			storagetesting.RunWatchErrorIsBlockingFurtherEvents(ctx, t, f)
		},
	},
}

// watchesList are watches that begin with a list of what there is, which comes
// as a stream or in pages.
func watchesList(name string, stream bool) []scenario {
	listing := gates{features.EtcdRangeStream: stream}
	return []scenario{
		{
			name: name + "/WatchSemantics", alone: true, run: watchSemantics,
			gates: gates{
				features.EtcdRangeStream: stream, features.ConcurrentWatchObjectDecode: false,
			},
		},
		{
			name: name + "/WatchSemanticsWithConcurrentDecode", alone: true,
			run: watchSemantics,
			gates: gates{
				features.EtcdRangeStream: stream, features.ConcurrentWatchObjectDecode: true,
			},
		},
		{
			name: name + "/WatchSemanticInitialEventsExtended", alone: true, gates: listing,
			run: plain(storagetesting.RunWatchSemanticInitialEventsExtended),
		},
		{
			name: name + "/WatchListMatchSingle", alone: true, gates: listing,
			run: plain(storagetesting.RunWatchListMatchSingle),
		},
	}
}

func watchSemantics(ctx context.Context, t *testing.T, f *fixture) {
	storagetesting.RunWatchSemantics(ctx, t, fresh{Interface: f, start: f.start})
}

// fresh is a store on a cluster that other tests have written to, for tests
// that take it to be new: the first revision is the one that they begin at.
type fresh struct {
	storage.Interface
	start string
}

func (f fresh) Watch(
	ctx context.Context, key string, opts storage.ListOptions,
) (watch.Interface, error) {
	if opts.ResourceVersion == "1" {
		opts.ResourceVersion = f.start
	}
	return f.Interface.Watch(ctx, key, opts)
}
