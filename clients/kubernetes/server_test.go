package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	etcdfeature "k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/utils/clock"
)

// backend is how an API server is told of its storage, with all defaults.
func backend(c *cluster) storagebackend.Config {
	config := storagebackend.NewDefaultConfig("/registry", newCodec())
	config.Transport.ServerList = c.endpoints
	return *config
}

// TestServerStorage runs on the store that an API server makes of its flags.
func TestServerStorage(t *testing.T) {
	runAll(t, []scenario{
		{name: "Get", run: byFactory(storagetesting.RunTestGet)},
		{name: "ListPaging", run: byFactory(storagetesting.RunTestListPaging)},
		{name: "Watch", run: byFactory(storagetesting.RunTestWatch)},
	})
}

func byFactory(test func(context.Context, *testing.T, storage.Interface)) func(
	context.Context, *testing.T, *fixture,
) {
	return func(ctx context.Context, t *testing.T, f *fixture) {
		_, err := f.client.KV.Delete(ctx, "/registry"+prefix, clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		config := backend(&cluster{endpoints: f.client.Endpoints()})
		store, destroy, err := factory.Create(*config.ForResource(pods), newPod, newPodList, prefix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(destroy)
		test(ctx, t, store)
	}
}

// TestServerHealth is what stands behind /livez/etcd and /readyz/etcd of an API
// server.
func TestServerHealth(t *testing.T) {
	checks := map[string]func(storagebackend.Config, <-chan struct{}) (func() error, error){
		"health": factory.CreateHealthCheck,
		"ready":  factory.CreateReadyCheck,
	}
	onEach(t, func(t *testing.T, c *cluster) {
		for name, create := range checks {
			t.Run(name, func(t *testing.T) {
				stop := make(chan struct{})
				defer close(stop)
				check, err := create(backend(c), stop)
				if err != nil {
					t.Fatal(err)
				}
				eventually(testContext(t), t, "healthy", func() bool { return check() == nil })
			})
		}
		t.Run("probe", func(t *testing.T) {
			prober, err := factory.CreateProber(backend(c))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = prober.Close() }()
			if err := prober.Probe(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestServerSize is the metric apiserver_storage_size_bytes.
func TestServerSize(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		for _, endpoint := range c.endpoints {
			monitor, err := factory.CreateMonitor(backend(&cluster{endpoints: []string{endpoint}}))
			if err != nil {
				t.Fatal(err)
			}
			metrics, err := monitor.Monitor(testContext(t))
			if err != nil || metrics.Size <= 0 {
				t.Errorf("%s holds %d bytes, %v", endpoint, metrics.Size, err)
			}
			if err := monitor.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestInstaller is what kubeadm asks of an external etcd before it begins, and
// what load balancers ask: plain HTTP on the client's port.
func TestInstaller(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		for _, endpoint := range c.endpoints {
			var versions struct {
				Server string `json:"etcdserver"`
			}
			if err := json.Unmarshal(get(t, endpoint+"/version"), &versions); err != nil {
				t.Fatal(err)
			}
			is, err := version.ParseSemantic(versions.Server)
			if err != nil {
				t.Fatal(err)
			}
			if !is.AtLeast(version.MustParseSemantic("3.6.0")) {
				t.Errorf("%s is version %s", endpoint, is)
			}
			if err := etcd3.EtcdHealthCheck(get(t, endpoint+"/health")); err != nil {
				t.Errorf("%s: %v", endpoint, err)
			}
		}
	})
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(testContext(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, response.Status, body)
	}
	return body
}

// TestServerFeatures is whether an API server takes the cluster for one whose
// watches report progress on request. If not, it answers no consistent list
// from its cache.
func TestServerFeatures(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		checker := etcdfeature.NewDefaultFeatureSupportChecker()
		checker.CheckClient(ctx, newClient(t, c), storage.RequestWatchProgress)
		eventually(ctx, t, "progress is known to be supported", func() bool {
			return checker.Supports(storage.RequestWatchProgress)
		})
	})
}

// TestProgress asks for the progress of a watch after writes to it and beside
// it, on a stream of its own as a watch cache does.
func TestProgress(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		f := newFixture(t, c)
		ctx := clientv3.WithRequireLeader(testContext(t))
		events := f.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(),
			clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
		if created := <-events; !created.Created {
			t.Fatalf("first came %+v", created)
		}
		for i := range 20 {
			put, err := f.client.KV.Put(ctx, fmt.Sprintf("%s%c/%d", prefix, 'a'+i, i), "")
			if err != nil {
				t.Fatal(err)
			}
			beside := f.advance(ctx, t)
			awaitProgress(ctx, t, f, events, put.Header.Revision, beside)
		}
	})
}

// awaitProgress asks for progress until it is at least at a revision; before
// that, the event of a revision below it must have come.
func awaitProgress(ctx context.Context, t *testing.T, f *fixture, events clientv3.WatchChan,
	event, progress int64,
) {
	t.Helper()
	seen := int64(0)
	for {
		if err := f.client.RequestProgress(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case resp := <-events:
			if err := resp.Err(); err != nil {
				t.Fatal(err)
			}
			for _, e := range resp.Events {
				seen = e.Kv.ModRevision
			}
			if !resp.IsProgressNotify() || resp.Header.Revision < event {
				continue
			}
			if seen != event {
				t.Fatalf("progress to %d before the event of %d", resp.Header.Revision, event)
			}
			if resp.Header.Revision >= progress {
				return
			}
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

// TestServersCompact lets two API servers compact as both do, every 5 minutes
// in life: one of them does, and both know to where.
func TestServersCompact(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		f := newFixture(t, c)
		old := f.advance(ctx, t)
		const interval = 100 * time.Millisecond
		one := etcd3.NewCompactor(newClient(t, c).Client, interval, clock.RealClock{}, nil)
		defer one.Stop()
		two := etcd3.NewCompactor(newClient(t, c).Client, interval, clock.RealClock{}, nil)
		defer two.Stop()
		past := f.advance(ctx, t)
		for i, compactor := range []etcd3.Compactor{one, two} {
			eventually(ctx, t, fmt.Sprintf("server %d knows of a compaction", i), func() bool {
				f.advance(ctx, t)
				return compactor.CompactRevision() > past
			})
		}
		_, err := f.client.KV.Get(ctx, prefix, clientv3.WithRev(old))
		if !errors.Is(err, rpctypes.ErrCompacted) {
			t.Errorf("a read at a compacted revision: %v", err)
		}
		watch := <-f.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(old))
		if !errors.Is(watch.Err(), rpctypes.ErrCompacted) || watch.CompactRevision <= past {
			t.Errorf("a watch from a compacted revision: %v, compacted to %d",
				watch.Err(), watch.CompactRevision)
		}
	})
}

// TestServerLease creates objects that live for a while, as events do: those of
// about the same time share a lease.
func TestServerLease(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		f := newFixture(t, c)
		const ttl, objects = 3600, 5
		for i := range objects {
			pod := &example.Pod{}
			pod.Namespace, pod.Name = fmt.Sprintf("ns%d", i), "pod"
			key := prefix + pod.Namespace + "/" + pod.Name
			if err := f.Create(ctx, key, pod, nil, ttl); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := f.client.KV.Get(ctx, prefix, clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		lease := clientv3.LeaseID(resp.Kvs[0].Lease)
		for _, kv := range resp.Kvs {
			if kv.Lease == 0 || clientv3.LeaseID(kv.Lease) != lease {
				t.Errorf("%s has lease %x, the first %x", kv.Key, kv.Lease, lease)
			}
		}
		left, err := f.client.TimeToLive(ctx, lease, clientv3.WithAttachedKeys())
		if err != nil {
			t.Fatal(err)
		}
		if left.GrantedTTL < ttl || left.TTL <= 0 || left.TTL > left.GrantedTTL {
			t.Errorf("%d s are left of %d", left.TTL, left.GrantedTTL)
		}
		if len(left.Keys) != objects {
			t.Errorf("the lease holds %q", left.Keys)
		}
	})
}
