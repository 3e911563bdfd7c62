package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/gateway"
	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/portmux"
)

// house is what stands behind a door.
type house interface {
	kv.Store
	kv.Maintainer
}

// door is the port for clients: etcd's API over gRPC and as JSON, and Miruvor's
// own over HTTP.
type door struct {
	mux     *portmux.Mux
	api     *etcdapi.API
	grpc    *grpcserver.Server
	gateway *gateway.Gateway
	http    *http.Server
	serving sync.WaitGroup
	behind  house
	// open ends when stop is called; shut makes it.
	open context.Context
	shut context.CancelFunc
	// opened is closed once clients of etcd's API are let in.
	opened chan struct{}
}

// openingMax is how long these wait for a node that starts. Then they are told
// what is missing.
const openingMax = 30 * time.Second

// newDoor serves the port, which is listener, for what is behind it. It owns
// listener. The first reason why it can't go on is sent to failed, which has room
// for it.
func newDoor(
	behind house, c *instanceConfig, registry *prometheus.Registry,
	listener net.Listener, failed chan<- error,
) (*door, error) {
	logger, limits, timeout := c.node.Logger, c.node.Limits, c.node.RequestTimeout
	api := etcdapi.New(etcdapi.Options{
		Store: behind, Maintainer: behind, Logger: logger, Registry: registry,
		Limits: limits, RequestTimeout: timeout, ProgressInterval: c.progressInterval,
	})
	own := httpapi.New(behind, httpapi.Options{
		Maintainer: behind, Logger: logger, Registry: registry, RequestTimeout: timeout,
		Limits: limits, Pprof: c.pprof,
	})
	d := &door{
		mux: portmux.New(listener, 0), api: api, grpc: api.NewServer(c.grpc),
		http: httpapi.NewServer(own, logger), behind: behind,
		opened: make(chan struct{}),
	}
	d.open, d.shut = context.WithCancel(context.Background())
	var err error
	d.gateway, err = gateway.New(gateway.Options{
		Server: d.grpc, Store: behind, Maintainer: behind,
		Limits: limits, RequestTimeout: timeout, Next: own, Opened: d.opened,
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	d.http.Handler = d.gateway
	d.serve(failed)
	return d, nil
}

// serve runs the servers until stop.
func (d *door) serve(failed chan<- error) {
	run := func(serve func() error) {
		d.serving.Go(func() {
			err := serve()
			if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
				return
			}
			select {
			case failed <- fmt.Errorf("client port: %w", err):
			default:
			}
		})
	}
	run(d.mux.Serve)
	run(func() error {
		d.awaitReady()
		close(d.opened)
		return d.grpc.Serve(d.mux.HTTP2())
	})
	run(func() error { return d.http.Serve(d.mux.HTTP1()) })
}

// awaitReady returns once what is behind is ready, has not been for too long, or
// stop was called. Clients of etcd wait for a connection, but take an error for an
// answer: until then theirs are not answered at all, as etcd does.
func (d *door) awaitReady() {
	const pause = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(d.open, openingMax)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if st, err := d.behind.Status(ctx); err == nil && st.Ready {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// stop takes no more connections and lets requests under way end, for as long as
// drain allows. Then all is cut.
func (d *door) stop(drain time.Duration) error {
	d.shut()
	err := d.mux.Close()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { d.api.Stop(ctx, d.grpc) })
	ended.Go(func() {
		if d.http.Shutdown(ctx) != nil {
			// Streams that go on are cut.
			_ = d.http.Close()
		}
	})
	ended.Wait()
	err = errors.Join(err, d.gateway.Close())
	d.serving.Wait()
	return err
}
