package kubernetes

import (
	"context"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
)

// updatesPerDeath is how often the counter has to go up while a node is down,
// and again once it is back.
const updatesPerDeath = 25

// TestServersSurvive kills one node after the other, as kill -9 does, while API
// servers count in one object. An update that fails may have happened or not;
// apart from those none is lost, a watch sees each number once, in order, and a
// consistent list from a watch cache has all that was counted before it.
func TestServersSurvive(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		if len(c.processes) < 3 {
			t.Skip("a majority has to live on")
		}
		ctx := testContext(t)
		f := newFixture(t, c)
		key, pod := prefix+"test-ns/counted", &example.Pod{}
		pod.Namespace, pod.Name = "test-ns", "counted"
		var created example.Pod
		if err := f.Create(ctx, key, pod, &created, 0); err != nil {
			t.Fatal(err)
		}
		deaths := &survival{key: key, cluster: c}
		deaths.run(ctx, t, f, created.ResourceVersion)

		var last example.Pod
		if err := f.Get(ctx, key, storage.GetOptions{}, &last); err != nil {
			t.Fatal(err)
		}
		done, failed := int(deaths.done.Load()), int(deaths.failed.Load())
		t.Logf("%d updates, %d failed; counted to %d", done, failed, counted(&last))
		if n := counted(&last); n < done || n > done+failed {
			t.Errorf("counted to %d with %d updates and %d failed ones", n, done, failed)
		}
	})
}

// survival is counting while nodes die.
type survival struct {
	key          string
	cluster      *cluster
	done, failed atomic.Int64
}

// run counts on several stores and follows a watch until all nodes have been
// dead once.
func (s *survival) run(ctx context.Context, t *testing.T, f *fixture, since string) {
	stores := []storage.Interface{f.Interface}
	for range servers - 1 {
		stores = append(stores, openOn(t, s.cluster))
	}
	counting, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	for _, store := range stores {
		group.Go(func() error {
			for counting.Err() == nil {
				if increment(counting, store, s.key) != nil {
					s.failed.Add(1)
					continue
				}
				s.done.Add(1)
			}
			return nil
		})
	}
	group.Go(func() error { s.follow(counting, t, f, since); return nil })
	cached := f.cache(ctx, t, byNamespace)
	group.Go(func() error { s.list(counting, t, cached); return nil })
	for _, p := range s.cluster.processes {
		p.kill()
		s.progress(ctx, t, "a node is down")
		if err := p.start(); err != nil {
			t.Error(err)
			break
		}
		if err := s.cluster.awaitReady(); err != nil {
			t.Error(err)
			break
		}
		s.progress(ctx, t, "all nodes are up")
	}
	stop()
	_ = group.Wait()
}

// progress waits for some updates.
func (s *survival) progress(ctx context.Context, t *testing.T, when string) {
	enough := s.done.Load() + updatesPerDeath
	eventually(ctx, t, "updates while "+when, func() bool { return s.done.Load() >= enough })
}

// follow watches the object from a resource version on. A watch that ends goes
// on where it was, as a watch cache's does.
func (s *survival) follow(ctx context.Context, t *testing.T, f *fixture, since string) {
	seen := 0
	for ctx.Err() == nil {
		opts := storage.ListOptions{ResourceVersion: since, Predicate: storage.Everything}
		w, err := f.Watch(ctx, s.key, opts)
		if err != nil {
			continue
		}
		for event := range w.ResultChan() {
			pod, ok := event.Object.(*example.Pod)
			if !ok || event.Type != watch.Modified {
				break
			}
			if n := counted(pod); n != seen+1 {
				t.Errorf("after %d the watch saw %d", seen, n)
			}
			seen, since = counted(pod), pod.ResourceVersion
		}
		w.Stop()
	}
	if seen == 0 {
		t.Error("the watch saw nothing")
	}
}

// list lists through a watch cache. It says how many lists succeeded.
func (s *survival) list(ctx context.Context, t *testing.T, cached storage.Interface) {
	lists := 0
	opts := storage.ListOptions{Predicate: storage.Everything, Recursive: true}
	for ctx.Err() == nil {
		var list example.PodList
		before := int(s.done.Load())
		if cached.GetList(ctx, prefix, opts, &list) != nil {
			continue
		}
		lists++
		if len(list.Items) != 1 || counted(&list.Items[0]) < before {
			t.Errorf("after %d updates the cache lists %+v", before, list.Items)
		}
	}
	t.Logf("%d lists", lists)
	if lists == 0 {
		t.Error("no list succeeded")
	}
}
