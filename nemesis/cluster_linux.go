package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/netlab"
)

const (
	clientPort = 2379
	peerPort   = 2380
	// selfNumber is the host number of this process, beyond all nodes.
	selfNumber = 200
)

// clusterConfig is what a cluster is made of.
type clusterConfig struct {
	nodes, replicas int
	splitAt         []string
	readMode        string
	seed            uint64
	// small is how many of the last nodes have a small disk.
	small int
	// only are the kinds of faults there are, all if it is empty.
	only []string
	// mutant is a deliberate bug that the nodes have.
	mutant mutant.Mutant
	// dir has the data and the logs.
	dir string
}

// untrusted reports whether the nodes go by no clock.
func (c *clusterConfig) untrusted() bool { return c.readMode == "quorum" }

// cluster is nodes on hosts of their own, and this process on another.
type cluster struct {
	network *netlab.Network
	self    *netlab.Host
	nodes   []*process
	// clients speak HTTP, each to one node, and everybody to all.
	clients   []*httpclient.Client
	everybody *httpclient.Client
}

// startCluster makes the network and starts the nodes. ended is told of nodes
// that end by themselves.
func startCluster(c clusterConfig, ended func(*process, error)) (*cluster, error) {
	cl := &cluster{network: netlab.New(netip.MustParsePrefix("10.77.0.0/24"), c.seed)}
	var err error
	if cl.self, err = cl.network.AddSelf("clients", selfNumber); err != nil {
		return nil, err
	}
	for i := range c.nodes {
		p := &process{
			name: fmt.Sprintf("n%d", i+1), seed: c.seed<<16 + uint64(i)<<12, ended: ended,
			mutant: c.mutant,
		}
		p.dir = filepath.Join(c.dir, "data", p.name)
		if i >= c.nodes-c.small {
			if err := mountSmall(p.dir); err != nil {
				return nil, err
			}
		}
		if p.log, err = newLog(filepath.Join(c.dir, "logs"), p.name); err != nil {
			return nil, err
		}
		if p.host, err = cl.network.Add(p.name, i+1); err != nil {
			return nil, err
		}
		cl.nodes = append(cl.nodes, p)
		client, err := httpclient.New(httpclient.Options{Endpoints: []string{p.endpoint()}})
		if err != nil {
			return nil, err
		}
		cl.clients = append(cl.clients, client)
	}
	cl.everybody, err = httpclient.New(httpclient.Options{Endpoints: cl.endpoints()})
	if err != nil {
		return nil, err
	}
	cl.network.Run()
	for _, p := range cl.nodes {
		p.args = cl.args(p, c)
		if err := p.start(0); err != nil {
			return nil, err
		}
	}
	return cl, nil
}

// args are those of `miruvor start`.
func (cl *cluster) args(p *process, c clusterConfig) []string {
	var members []string
	for _, other := range cl.nodes {
		members = append(members, other.name+"="+other.address(peerPort))
	}
	args := []string{
		"start", "--name", p.name, "--data", p.dir, "--client", p.address(clientPort),
		"--peer", p.address(peerPort), "--initial-cluster", strings.Join(members, ","),
		"--initial-shards", fmt.Sprint(len(c.splitAt) + 1), "--replicas", fmt.Sprint(c.replicas),
		"--read-mode", c.readMode, "--watch-progress-notify-interval", "200ms",
	}
	if len(c.splitAt) > 0 {
		args = append(args, "--split-at", strings.Join(c.splitAt, ","))
	}
	return args
}

func (p *process) address(port int) string { return fmt.Sprintf("%v:%d", p.host.Addr, port) }

func (p *process) endpoint() string { return p.address(clientPort) }

func (cl *cluster) endpoints() []string {
	var list []string
	for _, p := range cl.nodes {
		list = append(list, p.endpoint())
	}
	return list
}

// awaitReady polls until all nodes serve, or the time is up.
func (cl *cluster) awaitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, p := range cl.nodes {
		for {
			why := cl.unready(ctx, i)
			if why == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready: %w", p.name, why)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// unready is why a node does not serve, nil if it does.
func (cl *cluster) unready(ctx context.Context, node int) error {
	st, err := cl.status(ctx, node)
	if err == nil && !st.Ready {
		err = fmt.Errorf("it waits for %s", st.Waiting)
	}
	return err
}

// status asks a node, and does not wait long.
func (cl *cluster) status(ctx context.Context, node int) (kv.Status, error) {
	if !cl.nodes[node].running() {
		return kv.Status{}, errors.New("it does not run")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return cl.clients[node].Status(ctx)
}

// close ends everything.
func (cl *cluster) close() error {
	for _, p := range cl.nodes {
		p.end(syscall.SIGKILL)
		_ = p.log.Close()
	}
	for _, c := range append(cl.clients, cl.everybody) {
		c.Close()
	}
	return cl.network.Close()
}
