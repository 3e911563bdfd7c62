package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/etcdtest"
	"github.com/miruvor/miruvor/internal/etcdtest/cluster"
)

var (
	seeds = flag.Uint64("seeds", 8, "how many sequences TestLive draws")
	first = flag.Uint64("first", uint64(time.Now().Unix()), "the first of their seeds")
	files = flag.Int("files", 1, "how many files of recorded walks TestEtcdRepeatsItself takes")
)

const patience = 10 * time.Second

// TestEtcdRepeatsItself holds another etcd to the recorded answers: one that
// does not come again must not be in them.
func TestEtcdRepeatsItself(t *testing.T) {
	edges, err := etcdtest.Edges()
	if err != nil {
		t.Fatal(err)
	}
	walks, err := etcdtest.Walks()
	if err != nil {
		t.Fatal(err)
	}
	var shared []*etcdtest.Script
	for _, s := range edges {
		if s.Fresh() {
			repeat(t, s.Name, s)
		} else {
			shared = append(shared, s)
		}
	}
	repeat(t, "edges", shared...)
	for _, s := range walks[:min(*files, len(walks))] {
		repeat(t, s.Name, s)
	}
}

// repeat puts scripts to an etcd of their own.
func repeat(t *testing.T, name string, scripts ...*etcdtest.Script) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		err := WithEtcd(t.Context(), func(r *etcdtest.Runner) error {
			for _, s := range scripts {
				if err := replay(t.Context(), r, s); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func replay(ctx context.Context, r *etcdtest.Runner, s *etcdtest.Script) error {
	r.Patience = patience
	found, err := r.Replay(ctx, s)
	errs := []error{err}
	for _, m := range found {
		errs = append(errs, errors.New(m.String()))
	}
	return errors.Join(errs...)
}

// TestLive draws new sequences at an etcd and puts them to Miruvor.
func TestLive(t *testing.T) {
	miruvors := map[string]*etcdtest.Runner{
		"one shard":    startMiruvor(t, 1, nil),
		"eight shards": startMiruvor(t, 1, etcdtest.Splits()),
		"three nodes":  startMiruvor(t, 3, etcdtest.Splits()),
	}
	t.Logf("seeds %d to %d", *first, *first+*seeds-1)
	err := WithEtcd(t.Context(), func(etcd *etcdtest.Runner) error {
		for seed := *first; seed < *first+*seeds; seed++ {
			s, err := Walk(t.Context(), etcd, seed)
			if err != nil {
				return err
			}
			for name, miruvor := range miruvors {
				if err := replay(t.Context(), miruvor, s); err != nil {
					t.Error(fmt.Errorf("%s: %w", name, err))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func startMiruvor(t *testing.T, size int, splits [][]byte) *etcdtest.Runner {
	c, err := cluster.Start(t.Context(), size, splits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &etcdtest.Runner{Conn: c.Conn}
}
