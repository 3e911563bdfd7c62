package embed

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
)

// Etcd is a cluster of Miruvor on loopback.
type Etcd struct {
	Server *Server

	processes []*exec.Cmd
	outputs   []*bytes.Buffer
	failed    chan error
}

// Server is what tests ask about a cluster.
type Server struct {
	etcd    *Etcd
	ready   chan struct{}
	clients []string
}

// Cluster is where its nodes are.
type Cluster struct{ clients []string }

// splitAt are the keys that part the shards of a cluster that has several: they
// lie between keys that Kubernetes' tests write, "" and "/registry" before them.
var splitAt = []string{
	"/pods/first/c", "/pods/second/c", "/pods/test-ns/g", "/registry/pods/first/c",
	"/registry/pods/ns2", "/registry/pods/second/c", "/registry/pods/test-ns/g",
}

// StartEtcd starts a cluster and waits until it takes connections.
func StartEtcd(c *Config) (*Etcd, error) {
	nodes, err := number("MIRUVOR_NODES")
	if err != nil {
		return nil, err
	}
	e := &Etcd{failed: make(chan error)}
	e.Server = &Server{etcd: e, ready: make(chan struct{})}
	if err := e.start(c, nodes); err != nil {
		e.Close()
		return nil, err
	}
	close(e.Server.ready)
	return e, nil
}

func number(variable string) (int, error) {
	value := os.Getenv(variable)
	if value == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%q is not a positive number", variable, value)
	}
	return n, nil
}

func (e *Etcd) start(c *Config, nodes int) error {
	shards, err := number("MIRUVOR_SHARDS")
	if err != nil {
		return err
	}
	if shards > len(splitAt)+1 {
		return fmt.Errorf("MIRUVOR_SHARDS=%d, at most %d", shards, len(splitAt)+1)
	}
	addrs, err := freeAddrs(2 * nodes)
	if err != nil {
		return err
	}
	clients, peers := addrs[:nodes], addrs[nodes:]
	clients[0] = net.JoinHostPort("127.0.0.1", c.ListenClientUrls[0].Port())
	var members []string
	for i, peer := range peers {
		members = append(members, fmt.Sprintf("n%d=%s", i+1, peer))
	}
	common := []string{
		"start", "--initial-cluster", strings.Join(members, ","), "--durability", "os",
		"--watch-progress-notify-interval", c.WatchProgressNotifyInterval.String(),
	}
	if shards > 1 {
		common = append(common, "--initial-shards", fmt.Sprint(shards),
			"--split-at", strings.Join(splitAt[:shards-1], ","))
	}
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		e.Server.clients = append(e.Server.clients, "http://"+clients[i])
		err := e.run(slices.Concat(common, []string{
			"--name", name, "--data", filepath.Join(c.Dir, name),
			"--client", clients[i], "--peer", peers[i],
		}))
		if err != nil {
			return err
		}
	}
	return e.awaitReady()
}

func (e *Etcd) run(args []string) error {
	cmd, output := exec.Command(os.Getenv("MIRUVOR"), args...), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return err
	}
	e.processes, e.outputs = append(e.processes, cmd), append(e.outputs, output)
	return nil
}

// awaitReady waits until all nodes say that they are.
func (e *Etcd) awaitReady() error {
	deadline := time.Now().Add(startTimeout)
	for i, url := range e.Server.clients {
		for {
			err := ready(url)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("node %d: %w\n%s", i+1, err, e.outputs[i])
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

func ready(url string) error {
	response, err := http.Get(url + "/readyz")
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return errors.Join(err, response.Body.Close())
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

// Close ends the nodes and waits until they are gone.
func (e *Etcd) Close() {
	for _, p := range e.processes {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	var errs []error
	for i, p := range e.processes {
		timer := time.AfterFunc(stopTimeout, func() { _ = p.Process.Kill() })
		if err := p.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w\n%s", i+1, err, e.outputs[i]))
		}
		timer.Stop()
	}
	e.processes = nil
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	close(e.failed)
}

// Err is closed when the cluster has ended.
func (e *Etcd) Err() <-chan error { return e.failed }

// ReadyNotify is closed when the cluster takes connections.
func (s *Server) ReadyNotify() <-chan struct{} { return s.ready }

// Stop is Etcd.Close.
func (s *Server) Stop() { s.etcd.Close() }

// Cluster is where its nodes are.
func (s *Server) Cluster() Cluster { return Cluster{clients: s.clients} }

// ClientURLs are the addresses of its nodes for clients.
func (c Cluster) ClientURLs() []string { return c.clients }
