package kubernetes

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcdkube "go.etcd.io/etcd/client/v3/kubernetes"
	"google.golang.org/grpc/grpclog"
	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	etcdfeature "k8s.io/apiserver/pkg/storage/feature"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
	"k8s.io/utils/clock"
)

const (
	// prefix is what the keys of all objects begin with. Kubernetes' tests are
	// written for stores that put nothing before it.
	prefix = "/pods/"
	// otherKey is a key outside of it: a write to it moves the revision.
	otherKey = "miruvor-kubernetes-test"
	// marker begins every stored value, in place of a cipher.
	marker = "stored:"

	testTimeout = 2 * time.Minute
)

var (
	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
	pods   = schema.GroupResource{Resource: "pods"}
)

func init() {
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(scheme))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
}

// fixture is Kubernetes' storage of pods on a cluster, empty at first.
type fixture struct {
	// Interface is the store as the layers above get it.
	storage.Interface
	client      *etcdkube.Client
	kv          *storagetesting.KVRecorder
	lists       *storagetesting.KubernetesRecorder
	codec       *faultyCodec
	transformer *faultyTransformer
	marking     *storagetesting.PrefixTransformer
	// start is the revision since which there are objects.
	start string
}

// gates are Kubernetes' features that a test switches.
type gates map[featuregate.Feature]bool

// set switches features, and forgets what was found out about clusters, until
// the test ends.
func (g gates) set(t *testing.T) {
	t.Helper()
	for feature, on := range g {
		featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, feature, on)
	}
	checker := etcdfeature.DefaultFeatureSupportChecker
	etcdfeature.DefaultFeatureSupportChecker = etcdfeature.NewDefaultFeatureSupportChecker()
	t.Cleanup(func() { etcdfeature.DefaultFeatureSupportChecker = checker })
}

// newFixture makes a store.
func newFixture(t *testing.T, c *cluster) *fixture {
	t.Helper()
	f := &fixture{client: newClient(t, c), codec: newCodec()}
	f.marking = newMarking()
	f.transformer = &faultyTransformer{Transformer: f.marking}
	f.lists = storagetesting.NewKubernetesRecorder(f.client.Kubernetes)
	f.kv = storagetesting.NewKVRecorder(f.client.KV, f.lists)
	f.client.Kubernetes, f.client.KV = f.lists, f.kv
	resp, err := f.client.KV.Delete(testContext(t), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	f.start = strconv.FormatInt(resp.Header.Revision, 10)
	f.open(t)
	return f
}

func newClient(t *testing.T, c *cluster) *etcdkube.Client {
	t.Helper()
	config := clientv3.Config{Endpoints: c.endpoints, DialTimeout: 10 * time.Second}
	client, err := etcdkube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// open makes the store. A lease is reused for a second at most, so that what
// lives for a second is gone soon.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	versioner := storage.APIObjectVersioner{}
	compactor := etcd3.NewCompactor(f.client.Client, 0, clock.RealClock{}, nil)
	t.Cleanup(compactor.Stop)
	leases := etcd3.NewDefaultLeaseManagerConfig()
	leases.ReuseDurationSeconds = 1
	store, err := etcd3.New(f.client, compactor, f.codec, newPod, newPodList, "", prefix, pods,
		f.transformer, leases, etcd3.NewDefaultDecoder(f.codec, versioner), versioner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	f.Interface = store
}

func newPod() runtime.Object     { return &example.Pod{} }
func newPodList() runtime.Object { return &example.PodList{} }

func newMarking() *storagetesting.PrefixTransformer {
	return storagetesting.NewPrefixTransformer([]byte(marker), false)
}

func newCodec() *faultyCodec {
	return &faultyCodec{Codec: apitesting.TestCodec(codecs, examplev1.SchemeGroupVersion)}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// advance writes a key that no store reads, and returns its revision.
func (f *fixture) advance(ctx context.Context, t *testing.T) int64 {
	t.Helper()
	resp, err := f.client.KV.Put(ctx, otherKey, "")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

// compact compacts as an API server does, whose key for it may have been
// written before, and waits until the store knows.
func (f *fixture) compact(ctx context.Context, t *testing.T, resourceVersion string) {
	t.Helper()
	at, err := strconv.ParseInt(resourceVersion, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var version, compacted int64
	for range 3 {
		if version, _, compacted, err = etcd3.Compact(ctx, f.client.Client, version, at); err != nil {
			t.Fatal(err)
		}
		if compacted == at {
			break
		}
	}
	if compacted != at {
		t.Fatalf("compacted to %d instead of %d", compacted, at)
	}
	if utilfeature.DefaultFeatureGate.Enabled(features.ListFromCacheSnapshot) {
		eventually(ctx, t, "the store learns of the compaction", func() bool {
			return f.CompactRevision() >= at
		})
	}
}

// eventually waits until a condition holds.
func eventually(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// storedClean checks that what the cluster holds says nothing of what it knows
// itself, such as the revision.
func (f *fixture) storedClean(ctx context.Context, t *testing.T, key string) {
	t.Helper()
	resp, err := f.client.KV.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) != 1 {
		t.Fatalf("%d values at %s", len(resp.Kvs), key)
	}
	decoded, err := runtime.Decode(f.codec, resp.Kvs[0].Value[len(marker):])
	if err != nil {
		t.Fatal(err)
	}
	if pod := decoded.(*example.Pod); pod.ResourceVersion != "" || pod.SelfLink != "" {
		t.Errorf("stored with resource version %q, self link %q", pod.ResourceVersion, pod.SelfLink)
	}
}

// keys are the keys of all pods, in the store's own key space.
func (f *fixture) keys(ctx context.Context) ([]string, error) {
	resp, err := f.client.KV.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys, nil
}

var errInjected = errors.New("injected by the test")
