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
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
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

// start starts the processes of a cluster and waits until they answer.
func (c *cluster) start(program, dir string) error {
	if err := c.launch(program, dir); err != nil {
		return err
	}
	return c.awaitReady()
}

// launch starts the processes of a cluster.
func (c *cluster) launch(program, dir string) error {
	addrs, err := freeAddrs(2 * c.nodes)
	if err != nil {
		return err
	}
	clients, peers := addrs[:c.nodes], addrs[c.nodes:]
	var members []string
	for i := range c.nodes {
		c.endpoints = append(c.endpoints, "http://"+clients[i])
		members = append(members, fmt.Sprintf("n%d=%s", i+1, peers[i]))
	}
	for i := range c.nodes {
		name := fmt.Sprintf("n%d", i+1)
		p := &process{program: program, args: []string{
			"start", "--name", name, "--data", filepath.Join(dir, name),
			"--client", clients[i], "--peer", peers[i],
			"--initial-cluster", strings.Join(members, ","),
			"--watch-progress-notify-interval", "1s",
		}}
		if shards := len(c.splitAt) + 1; shards > 1 {
			p.args = append(p.args, "--initial-shards", fmt.Sprint(shards),
				"--split-at", strings.Join(c.splitAt, ","))
		}
		if err := p.start(); err != nil {
			return err
		}
		c.processes = append(c.processes, p)
	}
	return nil
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
