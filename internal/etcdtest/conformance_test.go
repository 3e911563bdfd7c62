package etcdtest_test

import (
	"flag"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/etcdtest"
	"github.com/miruvor/miruvor/internal/etcdtest/cluster"
)

var (
	only     = flag.String("only", "", "replay only scripts with this in their name")
	patience = flag.Duration("patience", 10*time.Second, "how long what a watch tells may take")
)

// TestConformance puts to Miruvor what was put to etcd, and compares.
func TestConformance(t *testing.T) {
	edges, err := etcdtest.Edges()
	if err != nil {
		t.Fatal(err)
	}
	walks, err := etcdtest.Walks()
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() || slow {
		walks = walks[:min(2, len(walks))]
	}
	for _, test := range []struct {
		name   string
		splits [][]byte
	}{
		{"one_shard", nil},
		{"eight_shards", etcdtest.Splits()},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range slices.Concat(edges, walks) {
				if !strings.Contains(s.Name, *only) {
					continue
				}
				name := strings.TrimPrefix(s.Name, "testdata/")
				t.Run(strings.TrimSuffix(name, path.Ext(name)), func(t *testing.T) {
					t.Parallel()
					replay(t, test.splits, s)
				})
			}
		})
	}
}

// replay puts the script to a server of its own. One of edges goes on after a
// mismatch: its steps have more to do with its theme than with each other.
func replay(t *testing.T, splits [][]byte, s *etcdtest.Script) {
	c, err := cluster.Start(t.Context(), 1, splits)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := &etcdtest.Runner{
		Conn: c.Conn, Patience: *patience, Thorough: strings.Contains(s.Name, "/edges/"),
	}
	found, err := r.Replay(t.Context(), s)
	if err != nil {
		t.Error(err)
	}
	for _, m := range etcdtest.Unmeant(s, found) {
		t.Error(m)
	}
}

// TestDifferencesAreShown: each names a script that is there.
func TestDifferencesAreShown(t *testing.T) {
	edges, err := etcdtest.Edges()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range etcdtest.Differences {
		shown := slices.ContainsFunc(edges, func(s *etcdtest.Script) bool {
			return path.Base(s.Name) == d.Script+".txt"
		})
		if !shown && len(d.Requests) > 0 {
			t.Errorf("there is no script %q", d.Script)
		}
		if d.Why == "" {
			t.Errorf("%s, %q: why?", d.Script, d.Requests)
		}
	}
}
