// Package httpclient is a kv.Store that lives on other machines: the HTTP API
// of httpapi, spoken to one of several nodes.
//
// It owns connections, the choice of the node, and what a lost answer means:
//
//  1. A read goes on to the next endpoint after a failed connection and
//     after any 503.
//  2. A write goes on only if it is certain that nothing happened: no
//     connection came about, or the node said so. Otherwise the caller gets
//     kv.ErrUncertain.
//  3. Errors wrap kv's sentinels, found by the problem's code, never by text.
//
// Every endpoint answers for the whole cluster, so the client stays with one
// that works.
//
// A watch is a request whose answer does not end (see watch.go). When it does
// all the same, another takes over at the next revision:
//
//	stream ── watch ── connection ── connection …
//	  │         └ goroutine: reads a connection, opens the next
//	  └ Next: what the watches read, one after the other
package httpclient

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// ErrUnreachable means that no endpoint could be connected to, so nothing
// has happened.
var ErrUnreachable = errors.New("no endpoint can be reached")

// Options configure New.
type Options struct {
	// Endpoints are nodes of one cluster, host:port or http://host:port. At
	// least one is needed.
	Endpoints []string
	// Transport sends requests; nil is one of the client's own.
	Transport http.RoundTripper
}

// Client is a kv.Store over HTTP. It is safe for concurrent use.
type Client struct {
	endpoints []*url.URL
	transport http.RoundTripper
	// own is set if transport is the client's to close.
	own *http.Transport
	// current is the index of the endpoint that worked last.
	current atomic.Int32
}

var _ kv.Store = (*Client)(nil)

// New is a client of opts.Endpoints. It connects when it is first used.
func New(opts Options) (*Client, error) {
	if len(opts.Endpoints) == 0 {
		return nil, kv.Invalid("endpoints: there are none, one is needed")
	}
	c := &Client{transport: opts.Transport}
	for _, text := range opts.Endpoints {
		endpoint, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, endpoint)
	}
	if c.transport == nil {
		c.own = newTransport()
		c.transport = c.own
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// newTransport suits many requests to few hosts. Idle connections go before
// the server drops them, as a write on a dropped one is uncertain.
func newTransport() *http.Transport {
	dialer := net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

func parseEndpoint(text string) (*url.URL, error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "http://" + text
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || u.Host == "" || u.Port() == "":
		return nil, kv.Invalid("endpoint %q is not host:port", text)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, kv.Invalid("endpoint %q: the scheme must be http or https", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return nil, kv.Invalid("endpoint %q has more than host and port", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
