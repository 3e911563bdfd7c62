package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/miruvor/miruvor/internal/httpapi"
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
}

// instance is a running node with its HTTP API.
type instance struct {
	node   *node.Node
	server *http.Server
	// served is closed once the server has ended.
	served chan struct{}
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
	handler := httpapi.New(n, httpapi.Options{
		Logger: c.node.Logger, Registry: registry, RequestTimeout: c.node.RequestTimeout,
		Limits: c.node.Limits, Pprof: c.pprof,
	})
	i := &instance{
		node:   n,
		server: httpapi.NewServer(handler, c.node.Logger),
		served: make(chan struct{}),
		failed: make(chan error, 1),
	}
	go i.serve(listener)
	return i, nil
}

func (i *instance) serve(listener net.Listener) {
	defer close(i.served)
	if err := i.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		i.failed <- fmt.Errorf("client port: %w", err)
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	if i.server.Shutdown(ctx) != nil {
		// Streams that go on are cut.
		_ = i.server.Close()
	}
	<-i.served
	ctx, cancel = context.WithTimeout(context.Background(), handover)
	defer cancel()
	return i.node.Stop(ctx)
}
