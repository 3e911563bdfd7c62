package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/node"
)

// How long a stopping instance waits: for requests under way, then for others
// to take over what it leads.
const (
	drainMax    = 5 * time.Second
	handoverMax = 5 * time.Second
)

// instanceConfig is a node and the port for its clients.
type instanceConfig struct {
	node node.Config
	// listen is the address for clients.
	listen string
	pprof  bool
	// grpc and progressInterval are about etcd's API.
	grpc             etcdapi.ServerOptions
	progressInterval time.Duration
}

// instance is a running node with its port for clients.
type instance struct {
	node *node.Node
	door *door
	// failed delivers why the instance cannot go on.
	failed chan error
}

// listenFor binds an address, and names the flag when it cannot.
func listenFor(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, plainListenError(address, err))
	}
	return listener, nil
}

// startInstance starts a node and serves its clients on listener, which it
// owns from then on.
func startInstance(c instanceConfig, listener net.Listener) (*instance, error) {
	n, err := node.Start(c.node)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.Metrics(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	i := &instance{node: n, failed: make(chan error, 1)}
	i.door, err = newDoor(n, &c, registry, listener, i.failed)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), handoverMax)
		defer cancel()
		return nil, errors.Join(err, n.Stop(ctx))
	}
	return i, nil
}

// wait returns why the instance cannot go on, or nil when ctx ends.
func (i *instance) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-i.failed:
		return err
	case err := <-i.node.Failed():
		return err
	}
}

// waitReady waits until the instance serves. Now and then it tells what the
// instance waits for.
func (i *instance) waitReady(ctx context.Context, tell func(waiting string)) error {
	const pause, tellPause = 10 * time.Millisecond, 2 * time.Second
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	told, since := "", time.Now()
	for {
		status, err := i.node.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case status.Ready:
			return nil
		case status.Waiting != told && time.Since(since) > tellPause:
			told, since = status.Waiting, time.Now()
			tell(told)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-i.failed:
			return err
		case err := <-i.node.Failed():
			return err
		}
	}
}

// stop lets requests under way end, then stops the node, which hands over what
// it leads for as long as handover allows.
func (i *instance) stop(handover time.Duration) error {
	err := i.door.stop(drainMax)
	ctx, cancel := context.WithTimeout(context.Background(), handover)
	defer cancel()
	return errors.Join(err, i.node.Stop(ctx))
}
