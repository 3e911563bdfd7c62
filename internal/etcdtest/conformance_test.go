package etcdtest

import (
	"flag"
	"path"
	"strings"
	"testing"
	"time"
)

var only = flag.String("only", "", "replay only scripts with this in their name")

// patience is how long an answer on a stream may take on a busy machine.
var patience = flag.Duration("patience", 10*time.Second, "how long an answer may take")

// TestConformance puts to Miruvor what was put to etcd, and compares.
func TestConformance(t *testing.T) {
	for _, test := range []struct {
		name   string
		size   int
		splits [][]byte
	}{
		{"one_shard", 1, nil},
		{"eight_shards", 1, Splits()},
	} {
		t.Run(test.name, func(t *testing.T) {
			open := func(t *testing.T) *Runner {
				c, err := StartCluster(t.Context(), test.size, test.splits)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
				return &Runner{Conn: c.Conn, Patience: *patience}
			}
			replayAll(t, open, Edges)
			replayAll(t, open, Walks)
		})
	}
}

// replayAll replays scripts at one server, but those that need a fresh one.
func replayAll(
	t *testing.T, open func(*testing.T) *Runner, load func() ([]*Script, error),
) {
	scripts, err := load()
	if err != nil {
		t.Fatal(err)
	}
	shared := open(t)
	for _, s := range scripts {
		if !strings.Contains(s.Name, *only) {
			continue
		}
		t.Run(strings.TrimSuffix(path.Base(s.Name), ".txt"), func(t *testing.T) {
			r := shared
			if s.Fresh() {
				r = open(t)
			}
			found, err := r.Replay(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			for _, m := range found {
				t.Error(m)
			}
		})
	}
}
