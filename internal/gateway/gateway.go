// Package gateway is etcd's API over HTTP: its gRPC services as JSON below
// /v3/, and the routes by which a cluster's version and health are asked for.
//
// It owns no meaning: a request becomes a call of the same grpc.Server that the
// port serves, over a connection inside the process, and the answer becomes
// JSON, both by the code that is generated from etcd's protos. What no route of
// etcd's is goes on to another handler.
//
//		            ┌ /v3/… → grpc-gateway ──link──→ grpc.Server → etcdapi
//		http.Server ┼ /version, /health, /livez, /readyz → kv.Store, kv.Maintainer
//		            └ all else → Options.Next
//
//	 1. What Next gets is untouched: its paths hold keys.
//	 2. JSON is etcd's: names as in the protos, 64-bit numbers as strings, bytes in
//	    base64, defaults left out; names in camelCase are understood, unknown ones
//	    ignored.
//	 3. A message of a request is bounded, however many a stream has. Streams and
//	    calls that wait for others outlive the server's time for a request.
//
// Source: etcd's documentation of its gateway (etcd.io/docs/v3.6/dev-guide).
package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv"
)

const (
	requestTimeoutDefault = 5 * time.Second
	// messageBytesSpare is what a message may have beside keys and values.
	messageBytesSpare = 512 << 10
)

// Options configure New. Server, Store, Maintainer and Next are needed.
type Options struct {
	// Server has etcd's services. The gateway serves one more listener with
	// it, which ends with Close or when the server stops.
	Server     *grpcserver.Server
	Store      kv.Store
	Maintainer kv.Maintainer
	// Next gets the requests that are not etcd's.
	Next http.Handler
	// Opened has calls of services wait until it is closed. Nil has none wait.
	Opened <-chan struct{}
	// RequestTimeout bounds a check of health; 0 is 5 s.
	RequestTimeout time.Duration
	// Limits bound the JSON of a message; zero is kv.DefaultLimits.
	Limits kv.Limits
}

// Gateway is the handler that New makes. Close it once nothing is served by it
// any more.
type Gateway struct {
	next http.Handler
	// services are the routes below /v3/, probes the others.
	services *websockets
	probes   map[string]http.Handler
	link     *link
	opened   <-chan struct{}
}

// New makes the gateway.
func New(opts Options) (*Gateway, error) {
	if opts.RequestTimeout == 0 {
		opts.RequestTimeout = requestTimeoutDefault
	}
	if opts.Limits == (kv.Limits{}) {
		opts.Limits = kv.DefaultLimits
	}
	link, err := newLink(opts.Server)
	if err != nil {
		return nil, err
	}
	services, err := newServices(link.conn, &opts)
	if err != nil {
		return nil, errors.Join(err, link.close())
	}
	return &Gateway{
		next: opts.Next, services: services, link: link, probes: newProbes(&opts),
		opened: opts.Opened,
	}, nil
}

// Close ends the connection to the server, and calls under way with it.
func (g *Gateway) Close() error {
	err := g.link.close()
	g.services.close()
	return err
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := currentPath(r.URL.Path)
	if strings.HasPrefix(path, servicesPath) {
		g.serveService(w, r, path)
		return
	}
	if probe, ok := g.probes[path]; ok {
		probe.ServeHTTP(w, r)
		return
	}
	g.next.ServeHTTP(w, r)
}

const servicesPath = "/v3/"

// currentPath is path with the name that its version has now.
func currentPath(path string) string {
	for _, former := range []string{"/v3beta/", "/v3alpha/"} {
		if rest, ok := strings.CutPrefix(path, former); ok {
			return servicesPath + rest
		}
	}
	return path
}

// serveService has the call of a service made.
func (g *Gateway) serveService(w http.ResponseWriter, r *http.Request, path string) {
	if !g.isOpen(r.Context()) {
		return
	}
	if path != r.URL.Path {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = path, ""
	}
	if takesItsTime[strings.TrimPrefix(path, servicesPath)] {
		takeTime(w)
	}
	g.services.ServeHTTP(w, r)
}

// isOpen waits until services can be called. It reports whether the client did,
// too.
func (g *Gateway) isOpen(ctx context.Context) bool {
	if g.opened == nil {
		return true
	}
	select {
	case <-g.opened:
		return true
	case <-ctx.Done():
		return false
	}
}

// takeTime lets a request take as long as it likes, and be answered before it has
// ended. A server that can do none of it serves what it can.
func takeTime(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	_ = control.EnableFullDuplex()
}

// takesItsTime has the calls that are streams, or wait for others.
var takesItsTime = map[string]bool{
	"watch":                true,
	"lease/keepalive":      true,
	"maintenance/snapshot": true,
	"election/observe":     true,
	"election/campaign":    true,
	"lock/lock":            true,
}
