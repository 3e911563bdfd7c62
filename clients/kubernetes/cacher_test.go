package kubernetes

import (
	"context"
	"fmt"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// TestCacher runs on the watch cache, which is how most of an API server's
// reads arrive: it lists and watches a resource once, and asks for the watch's
// progress when a read must be consistent.
func TestCacher(t *testing.T) {
	runAll(t, cachedWrites, cachedLists, cachedWatches, cachedInitialEvents)
}

// byNamespace and byName say how objects' keys are made.
func byNamespace(obj runtime.Object) (string, error) {
	return storage.NamespaceKeyFunc(prefix, obj)
}

func byName(obj runtime.Object) (string, error) {
	return storage.NoNamespaceKeyFunc(prefix, obj)
}

// cached adapts a test that needs a store only, to run on a watch cache.
func cached(test func(context.Context, *testing.T, storage.Interface)) func(
	context.Context, *testing.T, *fixture,
) {
	return cachedBy(byNamespace, test)
}

func cachedBy(
	key func(runtime.Object) (string, error),
	test func(context.Context, *testing.T, storage.Interface),
) func(context.Context, *testing.T, *fixture) {
	return func(ctx context.Context, t *testing.T, f *fixture) {
		test(ctx, t, f.cache(ctx, t, key))
	}
}

// cache puts a watch cache before the store, and waits until it is filled.
func (f *fixture) cache(
	ctx context.Context, t *testing.T, key func(runtime.Object) (string, error),
) storage.Interface {
	t.Helper()
	c, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: f.Interface, Versioner: storage.APIObjectVersioner{}, GroupResource: pods,
		EventsHistoryWindow: cacher.DefaultEventFreshDuration, ResourcePrefix: prefix,
		KeyFunc: key, GetAttrsFunc: podAttrs, NewFunc: newPod, NewListFunc: newPodList,
		IndexerFuncs: storage.IndexerFuncs{"spec.nodeName": podNode},
		Indexers:     podIndexers(), Codec: f.codec, Clock: clock.RealClock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	delegator := cacher.NewCacheDelegator(c, f.Interface)
	t.Cleanup(delegator.Stop)
	return delegator
}

func podAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	pod, ok := obj.(*example.Pod)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not a pod", obj)
	}
	return pod.Labels, fields.Set{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace,
		"spec.nodeName": pod.Spec.NodeName, "spec.restartPolicy": string(pod.Spec.RestartPolicy),
		"status.phase": string(pod.Status.Phase),
	}, nil
}

func podNode(obj runtime.Object) string {
	return obj.(*example.Pod).Spec.NodeName
}

func podIndexers() *cache.Indexers {
	return &cache.Indexers{
		"f:spec.nodeName": func(obj any) ([]string, error) {
			return []string{obj.(*example.Pod).Spec.NodeName}, nil
		},
		"f:metadata.namespace": func(obj any) ([]string, error) {
			return []string{obj.(*example.Pod).Namespace}, nil
		},
	}
}

var cachedWrites = []scenario{
	{name: "CreateWithTTL", run: cached(storagetesting.RunTestCreateWithTTL)},
	{name: "Get", run: cached(storagetesting.RunTestGet)},
	{name: "UnconditionalDelete", run: cached(storagetesting.RunTestUnconditionalDelete)},
	{name: "ConditionalDelete", run: cached(storagetesting.RunTestConditionalDelete)},
	{name: "DeleteWithConflict", run: cached(storagetesting.RunTestDeleteWithConflict)},
	{
		name: "DeleteWithSuggestionAndConflict",
		run:  cached(storagetesting.RunTestDeleteWithSuggestionAndConflict),
	},
	{
		name: "GuaranteedUpdateWithConflict",
		run:  cached(storagetesting.RunTestGuaranteedUpdateWithConflict),
	},
	{
		name: "GuaranteedUpdateWithSuggestionAndConflict",
		run:  cached(storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict),
	},
	{name: "KeySchema", run: cached(storagetesting.RunTestKeySchema)},
}

// cachedLists are lists that the cache answers once it has seen the revision
// that the cluster says is the present one.
var cachedLists = []scenario{
	{name: "ConsistentList/Snapshots", gates: snapshots, run: cachedConsistentList(true)},
	{name: "ConsistentList/NoSnapshots", gates: noSnapshots, run: cachedConsistentList(false)},
	{name: "GetListNonRecursive", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestGetListNonRecursive(ctx, t, f.advance, f.cache(ctx, t, byNamespace))
	}},
	{name: "GetListRecursivePrefix", run: cached(storagetesting.RunTestGetListRecursivePrefix)},
	{name: "ListPaging", run: cached(storagetesting.RunTestListPaging)},
	{name: "NamespaceScopedList", run: cached(storagetesting.RunTestNamespaceScopedList)},
}

var snapshots = gates{features.ListFromCacheSnapshot: true}

func cachedConsistentList(fromSnapshots bool) func(context.Context, *testing.T, *fixture) {
	return func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestConsistentList(
			ctx, t, f.cache(ctx, t, byNamespace), f.advance, true, true, fromSnapshots)
	}
}

var cachedWatches = []scenario{
	{name: "Watch", run: cached(storagetesting.RunTestWatch)},
	{name: "DeleteTriggerWatch", run: cached(storagetesting.RunTestDeleteTriggerWatch)},
	{name: "WatchFromNonZero", run: cached(storagetesting.RunTestWatchFromNonZero)},
	{name: "DelayedWatchDelivery", run: cached(storagetesting.RunTestDelayedWatchDelivery)},
	{name: "WatcherTimeout", run: cached(storagetesting.RunTestWatcherTimeout)},
	{
		name: "WatchDeleteEventObjectHaveLatestRV",
		run:  cached(storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV),
	},
	{name: "WatchInitializationSignal", run: cached(storagetesting.RunTestWatchInitializationSignal)},
	{name: "ClusterScopedWatch", run: cachedBy(byName, storagetesting.RunTestClusterScopedWatch)},
	{name: "NamespaceScopedWatch", run: cached(storagetesting.RunTestNamespaceScopedWatch)},
	{name: "WatchDispatchBookmarkEvents", run: func(ctx context.Context, t *testing.T, f *fixture) {
		storagetesting.RunTestWatchDispatchBookmarkEvents(
			ctx, t, f.cache(ctx, t, byNamespace), true)
	}},
	{
		name: "WatchBookmarksWithCorrectResourceVersion",
		run:  cached(storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion),
	},
	{
		name: "SendInitialEventsBackwardCompatibility",
		run:  cached(storagetesting.RunSendInitialEventsBackwardCompatibility),
	},
}

// cachedInitialEvents are watches that begin with what there is: they expect
// the cache to have seen an object as soon as it is created.
var cachedInitialEvents = []scenario{
	{name: "WatchSemantics", alone: true, run: settled(storagetesting.RunWatchSemantics)},
	{
		name: "WatchSemanticInitialEventsExtended", alone: true,
		run: settled(storagetesting.RunWatchSemanticInitialEventsExtended),
	},
	{name: "WatchListMatchSingle", alone: true, run: settled(storagetesting.RunWatchListMatchSingle)},
}

func settled(test func(context.Context, *testing.T, storage.Interface)) func(
	context.Context, *testing.T, *fixture,
) {
	return func(ctx context.Context, t *testing.T, f *fixture) {
		store := fresh{Interface: f.cache(ctx, t, byNamespace), start: f.start}
		test(ctx, t, settlingStore{Interface: store, t: t})
	}
}

// settlingStore is a watch cache whose creations wait until it has seen them.
type settlingStore struct {
	storage.Interface
	t *testing.T
}

func (s settlingStore) Create(
	ctx context.Context, key string, obj, out runtime.Object, ttl uint64,
) error {
	if err := s.Interface.Create(ctx, key, obj, out, ttl); err != nil {
		return err
	}
	anyAge := storage.GetOptions{ResourceVersion: "0", IgnoreNotFound: true}
	eventually(ctx, s.t, "the cache sees "+key, func() bool {
		seen := newPod()
		err := s.Get(ctx, key, anyAge, seen)
		return err == nil && apiequality.Semantic.DeepEqual(seen, out)
	})
	return nil
}
