package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestStartRefuses starts a node with something that must not be accepted, and
// sees that nothing in the directory has changed.
func TestStartRefuses(t *testing.T) {
	c := newTestCluster(t, 1, 2, DurabilityOS)
	c.awaitReady(0)
	c.put(0, "a", "1")
	c.stop(0)
	for _, test := range []struct {
		name string
		do   func(t *testing.T, cfg *Config)
		want string
		is   error
	}{
		{"port in use", func(t *testing.T, cfg *Config) {
			l, err := net.Listen("tcp", cfg.Listen)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
		}, "peer: listen tcp", kv.ErrInvalid},
		{"another name", func(_ *testing.T, cfg *Config) {
			cfg.Name, cfg.Cluster.Members = "n9", nil
		}, `belongs to the node "n1", not to "n9"`, kv.ErrInvalid},
		{"other shards", func(_ *testing.T, cfg *Config) {
			cfg.Cluster.Shards = 5
		}, "2 shards, 3 replicas, the options say", kv.ErrInvalid},
		{"other members", func(t *testing.T, cfg *Config) {
			cfg.Cluster.Members = append([]Member{{"n2", freeAddr(t)}}, cfg.Cluster.Members...)
		}, `the options say nodes "n1" "n2"`, kv.ErrInvalid},
		{"newer format", func(t *testing.T, cfg *Config) {
			write(t, cfg, "node.json", `{"format":2,"cluster":"1","name":"n1"}`)
		}, "written by a newer version", kv.ErrInvalid},
		{"damaged description", func(t *testing.T, cfg *Config) {
			write(t, cfg, "node.json", `{"format":`)
		}, "node.json", kv.ErrCorrupt},
		{"foreign directory", func(t *testing.T, cfg *Config) {
			cfg.Dir = t.TempDir()
			write(t, cfg, "photo.jpg", "x")
		}, `holds "photo.jpg" but no node.json`, kv.ErrInvalid},
		{"a file", func(t *testing.T, cfg *Config) {
			cfg.Dir = filepath.Join(cfg.Dir, "node.json")
		}, "data: ", kv.ErrInvalid},
		{"no log", func(t *testing.T, cfg *Config) {
			if err := os.RemoveAll(filepath.Join(cfg.Dir, "log")); err != nil {
				t.Fatal(err)
			}
		}, "has an engine but no log", kv.ErrCorrupt},
		{"no engine", func(t *testing.T, cfg *Config) {
			if err := os.RemoveAll(filepath.Join(cfg.Dir, "engine")); err != nil {
				t.Fatal(err)
			}
		}, "has a log but no engine", kv.ErrCorrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := c.configs[0]
			cfg.Dir = t.TempDir()
			if err := os.CopyFS(cfg.Dir, os.DirFS(c.configs[0].Dir)); err != nil {
				t.Fatal(err)
			}
			test.do(t, &cfg)
			refused(t, cfg, test.is, test.want)
		})
	}
}

// TestStartRefusesAnotherEngine puts a cluster's description beside the engine
// of another one, and an empty engine beside a log.
func TestStartRefusesAnotherEngine(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityOS)
	c.awaitReady(0)
	c.stop(0)
	cfg := c.configs[0]
	foreign, err := description{
		Format: 1, Cluster: 1, Name: "n1", Shape: cfg.withDefaults().Cluster.shape(),
	}.encode(true)
	if err != nil {
		t.Fatal(err)
	}
	described, err := os.ReadFile(filepath.Join(cfg.Dir, "node.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, &cfg, "node.json", string(foreign))
	if _, err := Start(cfg); err == nil || !strings.Contains(err.Error(), "belongs to cluster") {
		t.Errorf("another cluster's engine: %v", err)
	}
	write(t, &cfg, "node.json", string(described))
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "engine")); err != nil {
		t.Fatal(err)
	}
	write(t, &cfg, "engine/x", "")
	if _, err := Start(cfg); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("an empty engine: %v", err)
	}
}

// TestSecondProcess starts a node in the directory of a running one.
func TestSecondProcess(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityOS)
	c.awaitReady(0)
	cfg := c.configs[0]
	cfg.Listen = freeAddr(t)
	if _, err := Start(cfg); !errors.Is(err, kv.ErrInvalid) ||
		!strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("second: %v", err)
	}
	c.put(0, "a", "1")
}

// TestForeignClusterIsNotTalkedTo joins a node that was given another token:
// it must not become part of the cluster.
func TestForeignClusterIsNotTalkedTo(t *testing.T) {
	c := newTestCluster(t, 3, 1, DurabilityMemory)
	c.awaitAll()
	c.stop(2)
	c.configs[2].Cluster.Token = "other"
	c.start(2)
	c.await("the stranger to be refused", func() error {
		for _, p := range c.nodes[2].transport.Peers() {
			if !strings.Contains(p.Problem, "cluster") {
				return fmt.Errorf("%v: %q", p.Node.ID, p.Problem)
			}
		}
		return nil
	})
	st, err := c.nodes[2].Status(t.Context())
	if err != nil || st.Ready || !strings.Contains(st.Waiting, "n1, n2") {
		t.Errorf("the stranger: %+v, %v", st, err)
	}
	c.put(0, "a", "1")
}

// refused starts cfg and wants an error; no file may change.
func refused(t *testing.T, cfg Config, is error, text string) {
	t.Helper()
	before := digest(t, cfg.Dir)
	n, err := Start(cfg)
	if err == nil {
		_ = n.Stop(t.Context())
		t.Fatal("it was accepted")
	}
	if !errors.Is(err, is) || !strings.Contains(err.Error(), text) {
		t.Errorf("refused with %v, want %q", err, text)
	}
	if after := digest(t, cfg.Dir); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
}

// digest is every file in a directory with a checksum of it.
func digest(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %d %x\n", path, len(data), sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(t *testing.T, cfg *Config, name, text string) {
	t.Helper()
	path := filepath.Join(cfg.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
