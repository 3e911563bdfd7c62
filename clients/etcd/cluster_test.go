package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	testTimeout  = 3 * time.Minute
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
	// callTimeout bounds a single request while nodes die.
	callTimeout = 5 * time.Second
	// quotaBytes is what etcd has when nothing is said.
	quotaBytes = "2147483648"
	// storageVersion is that of a cluster in which all nodes are of etcd 3.7.
	storageVersion = "3.7.0"
)

// cluster is a cluster under test. Its processes are none if it is external.
type cluster struct {
	shape
	endpoints []string
	processes []*process
	startErr  error
}

// process is a node. It can be started again once it has ended.
type process struct {
	program string
	args    []string
	cmd     *exec.Cmd
	output  bytes.Buffer
}

// member is a node that is to be started.
type member struct{ name, dir, client, peer string }

// system says how its nodes are started.
type system interface {
	command(s shape, m member, all []member) (program string, args []string)
}

type miruvor struct{}

func (miruvor) command(s shape, m member, all []member) (program string, args []string) {
	args = []string{
		"start", "--name", m.name, "--data", m.dir, "--client", m.client, "--peer", m.peer,
		"--initial-cluster", initialCluster(all, ""), "--watch-progress-notify-interval", "1s",
		"--quota-backend-bytes", quotaBytes,
	}
	if shards := len(s.splitAt) + 1; shards > 1 {
		args = append(args, "--initial-shards", fmt.Sprint(shards),
			"--split-at", strings.Join(s.splitAt, ","))
	}
	return programs.miruvor, args
}

type etcd struct{}

func (etcd) command(_ shape, m member, all []member) (program string, args []string) {
	return programs.etcd, []string{
		"--name", m.name, "--data-dir", m.dir,
		"--listen-client-urls", "http://" + m.client,
		"--advertise-client-urls", "http://" + m.client,
		"--listen-peer-urls", "http://" + m.peer,
		"--initial-advertise-peer-urls", "http://" + m.peer,
		"--initial-cluster", initialCluster(all, "http://"),
	}
}

func initialCluster(all []member, scheme string) string {
	var members []string
	for _, m := range all {
		members = append(members, m.name+"="+scheme+m.peer)
	}
	return strings.Join(members, ",")
}

// start starts the processes of a cluster and waits until they answer.
func (c *cluster) start(s system, dir string) error {
	addrs, err := freeAddrs(2 * c.nodes)
	if err != nil {
		return err
	}
	var all []member
	for i := range c.nodes {
		name := fmt.Sprintf("n%d", i+1)
		m := member{name, filepath.Join(dir, name), addrs[2*i], addrs[2*i+1]}
		all = append(all, m)
		c.endpoints = append(c.endpoints, "http://"+m.client)
	}
	for _, m := range all {
		p := &process{}
		p.program, p.args = s.command(c.shape, m, all)
		if err := p.start(); err != nil {
			return err
		}
		c.processes = append(c.processes, p)
	}
	return c.awaitReady()
}

func (p *process) start() error {
	p.cmd = exec.Command(p.program, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	return p.cmd.Start()
}

// kill ends a process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// awaitReady waits until every node answers a read of the whole key space, and
// knows that all of them are of one version.
func (c *cluster) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for i, endpoint := range c.endpoints {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, Logger: zap.NewNop(),
		})
		if err != nil {
			return err
		}
		for err = ready(ctx, client); err != nil && ctx.Err() == nil; {
			pause(ctx, afterFailure)
			err = ready(ctx, client)
		}
		if err := errors.Join(err, client.Close()); err != nil {
			return fmt.Errorf("%s is not ready: %w\n%s", endpoint, err, &c.processes[i].output)
		}
	}
	return nil
}

// ready says why a node is not ready.
func ready(ctx context.Context, client *clientv3.Client) error {
	_, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	status, err := client.Status(ctx, client.Endpoints()[0])
	if err == nil && status.StorageVersion != storageVersion {
		err = fmt.Errorf("its storage is of version %s", status.StorageVersion)
	}
	return err
}

// stop ends the processes and waits until they are gone.
func (c *cluster) stop() {
	for _, p := range c.processes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range c.processes {
		timer := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
		if err := p.cmd.Wait(); err != nil && !strings.Contains(err.Error(), "terminated") {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s\n", p.cmd.Args, err, &p.output)
		}
		timer.Stop()
	}
}

// freeAddrs are addresses on loopback that nobody listens on, below the ports
// that systems give to outgoing connections.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range 1000 {
		if len(addrs) == n {
			return addrs, nil
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000)))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		addrs = append(addrs, l.Addr().String())
	}
	return nil, errors.New("no free ports")
}

// newClient is a client of all nodes, or of some.
func newClient(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: startTimeout, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// empty deletes what is under a prefix and returns it.
func empty(t *testing.T, client *clientv3.Client, prefix string) string {
	t.Helper()
	if _, err := client.Delete(testContext(t), prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	return prefix
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
