// Package cluster is a Miruvor in the test's own process, serving etcd's API.
//
// It owns the nodes, the server in front of the last of them and a connection
// to that. Its caller closes it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/node"
)

// answerBytesMax bounds what a connection takes; etcd bounds no answer.
const answerBytesMax = 64 << 20

// Cluster is a Miruvor of nodes in this process, in memory, on ports of the
// loopback interface. Close it.
type Cluster struct {
	// Conn leads to the last node, which leads little or nothing.
	Conn *grpc.ClientConn

	nodes  []*node.Node
	server *grpcserver.Server
	served chan error
}

// Start starts so many nodes, the key space split at splits, and waits
// until they serve.
func Start(ctx context.Context, size int, splits [][]byte) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, size, splits); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, size int, splits [][]byte) error {
	shape := node.Cluster{Shards: len(splits) + 1, SplitAt: splits}
	for i := range size {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("n%d", i+1)
		shape.Members = append(shape.Members, node.Member{Name: name, Peer: addr})
	}
	for _, m := range shape.Members {
		n, err := node.Start(node.Config{
			Name: m.Name, Listen: m.Peer, AdvertiseClient: "127.0.0.1:2379",
			Cluster: shape, Durability: node.DurabilityMemory, Version: "test",
		})
		if err != nil {
			return fmt.Errorf("start %s: %w", m.Name, err)
		}
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		if err := awaitReady(ctx, n); err != nil {
			return err
		}
	}
	return c.serve(c.nodes[size-1])
}

// serve makes the connection to n.
func (c *Cluster) serve(n *node.Node) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := etcdapi.New(etcdapi.Options{Store: n, Maintainer: n})
	c.server = api.NewServer(etcdapi.ServerOptions{})
	c.served = make(chan error, 1)
	go func() { c.served <- c.server.Serve(listener) }()
	c.Conn, err = Connect(listener.Addr().String())
	return err
}

// Connect is a connection without TLS that takes long answers.
func Connect(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerBytesMax)))
}

// Close stops the cluster.
func (c *Cluster) Close() error {
	var errs []error
	if c.Conn != nil {
		errs = append(errs, c.Conn.Close())
	}
	if c.server != nil {
		c.server.Stop()
		errs = append(errs, <-c.served)
	}
	for _, n := range c.nodes {
		errs = append(errs, n.Stop(context.Background()))
	}
	return errors.Join(errs...)
}

// awaitReady polls until n serves.
func awaitReady(ctx context.Context, n *node.Node) error {
	const interval = 5 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		switch status, err := n.Status(ctx); {
		case err != nil:
			return err
		case status.Ready:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// freeAddr is an address on loopback that nobody listens on.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
