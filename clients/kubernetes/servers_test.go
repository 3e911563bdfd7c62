package kubernetes

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
)

const (
	servers           = 3
	updatesPerServer  = 20
	counterAnnotation = "counter"
)

// TestServersAgree lets API servers, each on a node of its own, count in
// one object: no update is lost, and each server then lists what the
// last one wrote.
func TestServersAgree(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		first := newFixture(t, c.through(0))
		pod := &example.Pod{}
		pod.Namespace, pod.Name = "test-ns", "counted"
		key := prefix + "test-ns/counted"
		if err := first.Create(ctx, key, pod, nil, 0); err != nil {
			t.Fatal(err)
		}
		stores := []storage.Interface{first.Interface}
		for i := range servers - 1 {
			stores = append(stores, openOn(t, c.through(i+1)))
		}
		group, groupContext := errgroup.WithContext(ctx)
		for _, store := range stores {
			group.Go(func() error { return count(groupContext, store, key) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		for i, store := range stores {
			var list example.PodList
			opts := storage.ListOptions{Predicate: storage.Everything, Recursive: true}
			if err := store.GetList(ctx, prefix, opts, &list); err != nil {
				t.Fatal(err)
			}
			if len(list.Items) != 1 || counted(&list.Items[0]) != servers*updatesPerServer {
				t.Errorf("server %d lists %+v", i, list.Items)
			}
		}
	})
}

// TestServersStart starts an API server as soon as a node of its storage takes
// connections: what it asks before the nodes are ready waits for them.
func TestServersStart(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		if len(c.processes) == 0 {
			t.Skip("the cluster has started already")
		}
		starting := &cluster{shape: c.shape}
		defer starting.stop()
		if err := starting.launch(c.processes[0].program, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		ctx, pod := testContext(t), &example.Pod{}
		pod.Namespace, pod.Name = "test-ns", "early"
		addr := strings.TrimPrefix(starting.endpoints[0], "http://")
		eventually(ctx, t, "a node takes connections", func() bool {
			conn, err := net.Dial("tcp", addr)
			return err == nil && conn.Close() == nil
		})
		store := openOn(t, starting.through(0))
		if err := store.Create(ctx, prefix+"test-ns/early", pod, nil, 0); err != nil {
			t.Error(err)
		}
	})
}

// through is the cluster with one of its endpoints only.
func (c *cluster) through(i int) *cluster {
	return &cluster{shape: c.shape, endpoints: c.endpoints[i%len(c.endpoints):][:1]}
}

// openOn is a store on what another test's fixture holds.
func openOn(t *testing.T, c *cluster) storage.Interface {
	t.Helper()
	f := &fixture{client: newClient(t, c), codec: newCodec()}
	f.marking = newMarking()
	f.transformer = &faultyTransformer{Transformer: f.marking}
	f.open(t)
	return f.Interface
}

// count adds to the counter of an object, once an update.
func count(ctx context.Context, store storage.Interface, key string) error {
	for range updatesPerServer {
		if err := increment(ctx, store, key); err != nil {
			return err
		}
	}
	return nil
}

func increment(ctx context.Context, store storage.Interface, key string) error {
	return store.GuaranteedUpdate(ctx, key, &example.Pod{}, false, nil,
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			pod := obj.(*example.Pod)
			pod.Annotations = map[string]string{counterAnnotation: fmt.Sprint(counted(pod) + 1)}
			return pod, nil
		}), nil)
}

func counted(pod *example.Pod) int {
	n, _ := strconv.Atoi(pod.Annotations[counterAnnotation])
	return n
}
