package nodetest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

// cluster is three processes.
type cluster struct {
	t         *testing.T
	processes []*process
	// client speaks to all of them.
	client *httpclient.Client
}

// process is a node, and how to start it again.
type process struct {
	name, dir, endpoint string
	args                []string
	cmd                 *exec.Cmd
	stdin               io.Closer
	output              *output
	client              *httpclient.Client
}

// startCluster starts three nodes with shards that are split at some keys.
func startCluster(t *testing.T, splitAt ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	dir := t.TempDir()
	var members, endpoints []string
	for i := range 3 {
		peer, client := freeAddr(t), freeAddr(t)
		name := fmt.Sprintf("n%d", i+1)
		members = append(members, name+"="+peer)
		endpoints = append(endpoints, client)
		c.processes = append(c.processes, &process{
			name: name, dir: filepath.Join(dir, name), endpoint: client,
			args: []string{
				"start", "--name", name, "--data", filepath.Join(dir, name), "--client", client,
				"--peer", peer, "--initial-shards", fmt.Sprint(len(splitAt) + 1),
			},
			client: newClient(t, client),
		})
	}
	c.client = newClient(t, endpoints...)
	for i, p := range c.processes {
		p.args = append(p.args, "--initial-cluster", strings.Join(members, ","))
		if len(splitAt) > 0 {
			p.args = append(p.args, "--split-at", strings.Join(splitAt, ","))
		}
		t.Cleanup(func() { c.kill(i) })
		c.start(i)
	}
	c.awaitReady(0, 1, 2)
	return c
}

// used are the ports that freeAddr has given out. Tests here run one by one.
var used = map[int]bool{}

// freeAddr is an address on loopback that nobody listens on. It lies below the
// ports that systems give to outgoing connections, which would else take it
// before the node does, and apart from those of package node's tests, which run
// at the same time.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		if used[port] {
			continue
		}
		used[port] = true
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func newClient(t *testing.T, endpoints ...string) *httpclient.Client {
	t.Helper()
	c, err := httpclient.New(httpclient.Options{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.processes[i]
	p.cmd, p.output = exec.Command(exe, p.args...), new(output)
	p.cmd.Env = append(os.Environ(), processVariable+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends a process as kill -9 does, and waits until it is gone.
func (c *cluster) kill(i int) {
	p := c.processes[i]
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.stdin.Close()
	p.cmd = nil
	if i := strings.Index(p.output.String(), "panic:"); i >= 0 {
		c.t.Errorf("%s panicked:\n%s", p.name, p.output.String()[i:])
	}
}

// terminate asks a process to stop and waits until it has.
func (c *cluster) terminate(i int) {
	c.t.Helper()
	p := c.processes[i]
	c.signal(i, syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		c.t.Errorf("%s does not end well: %v\n%s", p.name, err, p.output)
	}
	_ = p.stdin.Close()
	p.cmd = nil
}

func (c *cluster) signal(i int, s syscall.Signal) {
	c.t.Helper()
	if err := c.processes[i].cmd.Process.Signal(s); err != nil {
		c.t.Fatalf("signal %v to %s: %v", s, c.processes[i].name, err)
	}
}

// awaitReady polls until nodes are ready.
func (c *cluster) awaitReady(nodes ...int) {
	c.t.Helper()
	for _, i := range nodes {
		p := c.processes[i]
		await(c.t, p.name+" to be ready", func(ctx context.Context) error {
			st, err := p.client.Status(ctx)
			if err == nil && !st.Ready {
				err = fmt.Errorf("it waits for %s", st.Waiting)
			}
			if err != nil {
				err = fmt.Errorf("%w%s", err, c.outputs())
			}
			return err
		})
	}
}

// output is what a process says, which can be read while it runs.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// outputs is what all processes said.
func (c *cluster) outputs() string {
	var b strings.Builder
	for _, p := range c.processes {
		fmt.Fprintf(&b, "\n%s said:\n%s", p.name, p.output)
	}
	return b.String()
}

// leader is the process that leads a shard, in the eyes of some node.
func (c *cluster) leader(shard kv.ShardID) int {
	c.t.Helper()
	found := -1
	await(c.t, fmt.Sprintf("a leader of shard %v", shard), func(ctx context.Context) error {
		st, err := c.client.Status(ctx)
		for _, s := range st.Shards {
			if s.ID == shard && s.Leader != 0 {
				found = int(s.Leader) - 1
				return nil
			}
		}
		return fmt.Errorf("none in %+v, %w", st.Shards, err)
	})
	return found
}

// check stops all nodes and checks their directories.
func (c *cluster) check() {
	c.t.Helper()
	for i, p := range c.processes {
		c.terminate(i)
		problems, err := node.Check(p.dir, nil)
		if err != nil || len(problems) > 0 {
			c.t.Errorf("%s: %v, %v", p.name, problems, err)
		}
	}
}

// await polls until done returns nil, for as long as a slow machine may need.
func await(t *testing.T, what string, done func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err := done(ctx); err != nil; err = done(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		case <-tick.C:
		}
	}
}
