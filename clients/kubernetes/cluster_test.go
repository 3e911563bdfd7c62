package kubernetes

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
)

// endpointsVariable names the endpoints of a cluster to test instead of those
// that the tests start.
const endpointsVariable = "MIRUVOR_TEST_ENDPOINTS"

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
)

// shape is what a cluster is made of.
type shape struct {
	name    string
	nodes   int
	splitAt []string
}

// shapes are the clusters that everything runs on. The splits of the second lie
// between the keys that the tests write, so that their lists, watches and
// transactions meet several shards.
var shapes = []shape{
	{name: "1node1shard", nodes: 1},
	{name: "3nodes8shards", nodes: 3, splitAt: []string{
		prefix + "a", prefix + "first/c", prefix + "ns2", prefix + "second/c",
		prefix + "test-ns/a", prefix + "test-ns/g", "compact",
	}},
}

// cluster is a cluster under test. Its processes are none if it is external.
type cluster struct {
	shape
	endpoints []string
	processes []*process
	startErr  error
}

type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
}

// clusters are those under test: started when a test first needs them, and
// stopped by TestMain.
var clusters []*cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if external := os.Getenv(endpointsVariable); external != "" {
		c := &cluster{shape: shape{name: "external"}, endpoints: strings.Split(external, ",")}
		clusters = append(clusters, c)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "miruvor-kubernetes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, err := build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, s := range shapes {
		c := &cluster{shape: s}
		clusters = append(clusters, c)
		defer c.stop()
		c.startErr = c.start(program, filepath.Join(dir, s.name))
	}
	return m.Run()
}

// programVariable names the program to test instead of one that is built.
const programVariable = "MIRUVOR"

// build makes the miruvor program of the module that this one lies in.
func build(dir string) (string, error) {
	if program := os.Getenv(programVariable); program != "" {
		return program, nil
	}
	program := filepath.Join(dir, "miruvor")
	cmd := exec.Command("go", "build", "-o", program, "github.com/miruvor/miruvor")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build miruvor: %w\n%s", err, out)
	}
	return program, nil
}

// start starts the processes of a cluster and waits until they answer.
func (c *cluster) start(program, dir string) error {
	var members, clients, peers []string
	for i := range c.nodes {
		ports, err := freeAddrs(2)
		if err != nil {
			return err
		}
		clients, peers = append(clients, ports[0]), append(peers, ports[1])
		members = append(members, fmt.Sprintf("n%d=%s", i+1, ports[1]))
		c.endpoints = append(c.endpoints, "http://"+ports[0])
	}
	for i := range c.nodes {
		name := fmt.Sprintf("n%d", i+1)
		p := &process{cmd: exec.Command(program, "start", "--name", name,
			"--data", filepath.Join(dir, name), "--client", clients[i], "--peer", peers[i],
			"--initial-cluster", strings.Join(members, ","),
			"--watch-progress-notify-interval", "1s")}
		if shards := len(c.splitAt) + 1; shards > 1 {
			p.cmd.Args = append(p.cmd.Args, "--initial-shards", fmt.Sprint(shards),
				"--split-at", strings.Join(c.splitAt, ","))
		}
		p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
		if err := p.cmd.Start(); err != nil {
			return err
		}
		c.processes = append(c.processes, p)
	}
	return c.awaitReady()
}

// awaitReady waits until every node answers a read of the whole key space.
func (c *cluster) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for i, endpoint := range c.endpoints {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
		if err != nil {
			return err
		}
		for {
			_, err = client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
			if err == nil || ctx.Err() != nil {
				break
			}
		}
		if err := errors.Join(err, client.Close()); err != nil {
			return fmt.Errorf("%s is not ready: %w\n%s", endpoint, err, &c.processes[i].output)
		}
	}
	return nil
}

// stop ends the processes and waits until they are gone.
func (c *cluster) stop() {
	for _, p := range c.processes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range c.processes {
		timer := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
		if err := p.cmd.Wait(); err != nil {
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

// onEach runs a test on every cluster.
func onEach(t *testing.T, test func(t *testing.T, c *cluster)) {
	for _, c := range clusters {
		t.Run(c.name, func(t *testing.T) {
			if c.startErr != nil {
				t.Fatal(c.startErr)
			}
			test(t, c)
		})
	}
}
