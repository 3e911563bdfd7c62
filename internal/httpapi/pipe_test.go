package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
)

// pipes is a network in memory, so that time can be virtual: each host is a
// server, and a connection to it a pipe.
type pipes struct {
	t  *testing.T
	mu sync.Mutex
	// hosts take connections; nil is a host that takes them and is silent.
	hosts map[string]chan net.Conn
	// wrap may change the client's end of a connection.
	wrap func(net.Conn) net.Conn
}

func newPipes(t *testing.T) *pipes {
	return &pipes{
		t: t, hosts: map[string]chan net.Conn{},
		wrap: func(conn net.Conn) net.Conn { return conn },
	}
}

// dial is for http.Transport.
func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	accept, there := p.hosts[address]
	p.mu.Unlock()
	if !there {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	if accept != nil {
		select {
		case accept <- theirs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return p.wrap(ours), nil
}

// listener is one host's.
type listener struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// serve is a server over store at address, and what it measures.
func (p *pipes) serve(address string, store kv.Store) (*http.Server, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	handler := httpapi.New(store, httpapi.Options{Registry: registry})
	server := httpapi.NewServer(handler, slog.New(slog.DiscardHandler))
	l := &listener{accept: make(chan net.Conn), closed: make(chan struct{})}
	p.mu.Lock()
	p.hosts[address] = l.accept
	p.mu.Unlock()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	p.t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return server, registry
}

func (p *pipes) transport() *http.Transport {
	transport := &http.Transport{DialContext: p.dial, DisableCompression: true}
	p.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (p *pipes) client(endpoints ...string) *httpclient.Client {
	client, err := httpclient.New(httpclient.Options{
		Endpoints: endpoints, Transport: p.transport(),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return client
}

// get begins a request that a test reads the answer of.
func (p *pipes) get(url string, header ...string) *http.Response {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.transport().RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { resp.Body.Close() })
	return resp
}
