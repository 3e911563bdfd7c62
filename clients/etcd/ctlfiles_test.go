package etcd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestCtlSnapshot: what `etcdctl snapshot save` saved, `miruvor check` accepts.
func TestCtlSnapshot(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		if len(c.processes) == 0 {
			t.Skip("another's file is not ours to check")
		}
		client := newClient(t, c.endpoints...)
		prefix := empty(t, client, "bank/snapshot/")
		for i := range 100 {
			if _, err := client.Put(testContext(t), fmt.Sprint(prefix, i), "value"); err != nil {
				t.Fatal(err)
			}
		}
		teller := &ctl{endpoints: c.endpoints[:1], dir: t.TempDir()}
		teller.run(t, "snapshot save saved.backup", "")
		file := filepath.Join(teller.dir, "saved.backup")
		out, err := exec.Command(programs.miruvor, "check", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/2] ^= 1
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(programs.miruvor, "check", file).CombinedOutput(); err == nil {
			t.Errorf("a bit was changed, and all is well: %s", out)
		}
	})
}

// TestCtlMirror: `etcdctl make-mirror` copies from one cluster to another, both
// ways, what is there and what comes.
func TestCtlMirror(t *testing.T) {
	if len(clusters) < 2 {
		t.Skip("a mirror needs two clusters")
	}
	for i, from := range clusters {
		to := clusters[1-i]
		source, target := newClient(t, from.endpoints...), newClient(t, to.endpoints...)
		prefix := empty(t, source, fmt.Sprintf("log/mirror%d/", i))
		empty(t, target, prefix)
		ctx := testContext(t)
		put := func(name string) {
			if _, err := source.Put(ctx, prefix+name, name); err != nil {
				t.Fatal(err)
			}
		}
		arrived := func(keys int64) {
			eventually(ctx, t, "keys arrive", func() bool {
				resp, err := target.Get(ctx, prefix, clientv3.WithPrefix())
				return err == nil && resp.Count == keys
			})
		}
		put("before")
		teller := &ctl{endpoints: from.endpoints, dir: t.TempDir()}
		destination := strings.TrimPrefix(to.endpoints[0], "http://")
		teller.start(t, "mirror", "make-mirror --prefix "+prefix+" "+destination)
		arrived(1)
		put("later")
		arrived(2)
		if _, err := source.Delete(ctx, prefix+"before"); err != nil {
			t.Fatal(err)
		}
		arrived(1)
		teller.end(t, "mirror")
	}
}

// TestCtlSurvives: etcdctl goes on with the nodes that live, says which one
// does not, and a watch that runs goes on.
func TestCtlSurvives(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		if len(c.processes) < 3 {
			t.Skip("a majority has to live on")
		}
		empty(t, newClient(t, c.endpoints...), "log/ctl/")
		teller := &ctl{endpoints: c.endpoints, dir: t.TempDir()}
		teller.start(t, "watch", "watch log/ctl/ --prefix")
		teller.start(t, "lock", "lock log/ctllock")
		teller.read(t, "lock", 1)
		for i, p := range c.processes {
			p.kill()
			key := fmt.Sprint("log/ctl/", i)
			for _, step := range []struct{ command, want string }{
				{"put " + key + " down", "OK\n"},
				{"get " + key, key + "\ndown\n"},
			} {
				if out := teller.run(t, step.command, ""); out != step.want {
					t.Errorf("%s: %s", step.command, out)
				}
			}
			out := teller.run(t, "endpoint health --command-timeout=1s", "")
			if strings.Count(out, "is healthy") != 2 || strings.Count(out, "is unhealthy") != 1 {
				t.Errorf("endpoint health: %s", out)
			}
			if got, want := teller.read(t, "watch", 3), "PUT\n"+key+"\ndown\n"; got != want {
				t.Errorf("watched %q", got)
			}
			if err := p.start(); err != nil {
				t.Fatal(err)
			}
			if err := c.awaitReady(); err != nil {
				t.Fatal(err)
			}
		}
		teller.end(t, "watch")
		teller.end(t, "lock")
		if out := teller.run(t, "get log/ctllock --prefix --keys-only", ""); out != "" {
			t.Errorf("the lock is still held: %s", out)
		}
	})
}
