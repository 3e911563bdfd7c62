package httpclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// node is an endpoint that behaves in one way and counts requests.
type node struct {
	*httptest.Server
	requests atomic.Int32
}

func newNode(t *testing.T, behave http.HandlerFunc) *node {
	n := &node{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		behave(w, r)
	}))
	t.Cleanup(n.Close)
	return n
}

// works answers every read with "value" at revision 7, and every write.
func works(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(kvjson.Revision, "7")
	w.Header().Set(kvjson.ETag, `"5"`)
	w.Header().Set(kvjson.CreateRevision, "4")
	w.Header().Set(kvjson.Version, "2")
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte("value"))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// says answers with the problem of a code.
func says(code string) http.HandlerFunc {
	kinds := kvjson.Kinds()
	kind := kinds[slices.IndexFunc(kinds, func(k kvjson.Kind) bool { return k.Code == code })]
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kvjson.ProblemType)
		w.WriteHeader(kind.Status)
		body, _ := json.Marshal(kind.New("says the node"))
		_, _ = w.Write(body)
	}
}

// hangsUp takes the request and closes the connection.
func hangsUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// breaksOff closes the connection in the middle of an answer.
func breaksOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte("the beginning"))
	panic(http.ErrAbortHandler)
}

// isProxy answers as something that is no node does.
func isProxy(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
}

// unreachable is an address that nobody listens on.
func unreachable(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newClient(t *testing.T, endpoints ...string) *httpclient.Client {
	t.Helper()
	client, err := httpclient.New(httpclient.Options{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func read(ctx context.Context, c *httpclient.Client) error {
	resp, err := c.Range(ctx, kv.RangeRequest{Range: kv.PointRange([]byte("k"))})
	if err == nil && string(resp.KVs[0].Value) != "value" {
		return errors.New("another value")
	}
	return err
}

func write(ctx context.Context, c *httpclient.Client) error {
	_, err := kv.Put(ctx, c, kv.PutRequest{Key: []byte("k"), Value: []byte("v")})
	return err
}

// TestFailover: what a first endpoint does, and whether a second, which
// works, may be asked instead. An error that ends a request is the sentinel.
func TestFailover(t *testing.T) {
	for name, tc := range map[string]struct {
		behave http.HandlerFunc
		// Nil tells that the second endpoint was asked.
		read, write error
	}{
		"no leader":  {says("no_leader"), nil, nil},
		"not ready":  {says("not_ready"), nil, nil},
		"stopped":    {says("stopped"), nil, nil},
		"uncertain":  {says("uncertain"), nil, kv.ErrUncertain},
		"hangs up":   {hangsUp, nil, kv.ErrUncertain},
		"breaks off": {breaksOff, nil, kv.ErrUncertain},
		"proxy":      {isProxy, nil, kv.ErrUncertain},
		"invalid":    {says("invalid"), kv.ErrInvalid, kv.ErrInvalid},
		"timeout":    {says("timeout"), kv.ErrTimeout, kv.ErrTimeout},
		"too many requests": {
			says("too_many_requests"), kv.ErrTooManyRequests, kv.ErrTooManyRequests,
		},
		"corrupt":   {says("corrupt"), kv.ErrCorrupt, kv.ErrCorrupt},
		"compacted": {says("compacted"), kv.ErrCompacted, kv.ErrCompacted},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, do := range map[string]struct {
				request func(context.Context, *httpclient.Client) error
				want    error
			}{"read": {read, tc.read}, "write": {write, tc.write}} {
				first, second := newNode(t, tc.behave), newNode(t, works)
				err := do.request(t.Context(), newClient(t, first.URL, second.URL))
				if !errors.Is(err, do.want) {
					t.Errorf("%s: %v, want %v", kind, err, do.want)
				}
				if asked := second.requests.Load() > 0; asked != (do.want == nil) {
					t.Errorf("%s: the second endpoint was asked: %v", kind, asked)
				}
				if n := first.requests.Load(); kind == "write" && n != 1 {
					t.Errorf("the write was sent %d times to the first endpoint", n)
				}
			}
		})
	}
}

func TestUnreachableEndpoints(t *testing.T) {
	second := newNode(t, works)
	client := newClient(t, unreachable(t), second.URL)
	if err := write(t.Context(), client); err != nil {
		t.Errorf("a write that was sent nowhere else: %v", err)
	}
	client = newClient(t, unreachable(t), unreachable(t))
	if err := write(t.Context(), client); !errors.Is(err, httpclient.ErrUnreachable) ||
		errors.Is(err, kv.ErrUncertain) {
		t.Errorf("no endpoint: %v", err)
	}
	// What a node says tells more than that another is not there.
	third := newNode(t, says("no_leader"))
	client = newClient(t, third.URL, unreachable(t))
	if err := read(t.Context(), client); !errors.Is(err, kv.ErrNoLeader) {
		t.Errorf("a node without a leader and no other: %v", err)
	}
}

// TestStaysWithWhatWorks: once an endpoint works, it gets all requests.
func TestStaysWithWhatWorks(t *testing.T) {
	first, second := newNode(t, says("no_leader")), newNode(t, works)
	client := newClient(t, first.URL, second.URL)
	for range 5 {
		if err := read(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	if f, s := first.requests.Load(), second.requests.Load(); f != 1 || s != 5 {
		t.Errorf("%d and %d requests, want 1 and 5", f, s)
	}
}

// TestEndedContext: a write that may have been sent is uncertain, a read is
// merely late.
func TestEndedContext(t *testing.T) {
	for name, tc := range map[string]struct {
		request func(context.Context, *httpclient.Client) error
		want    error
	}{"read": {read, kv.ErrTimeout}, "write": {write, kv.ErrUncertain}} {
		ctx, cancel := context.WithCancel(t.Context())
		slow := newNode(t, func(_ http.ResponseWriter, r *http.Request) {
			// A server notices that the client left once the body is read.
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		})
		if err := tc.request(ctx, newClient(t, slow.URL)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, bad := range []string{
		"", "localhost", "ftp://localhost:1", "http://localhost:1/v1", "http://u:p@localhost:1",
		"localhost:1?a=b", "://", "http://", "http://[::1",
	} {
		_, err := httpclient.New(httpclient.Options{Endpoints: []string{bad}})
		if !errors.Is(err, kv.ErrInvalid) || !strings.Contains(err.Error(), "endpoint") {
			t.Errorf("endpoint %q: %v", bad, err)
		}
	}
	for _, good := range []string{"localhost:2379", "http://[::1]:2379/", "https://a.example:443"} {
		if _, err := httpclient.New(httpclient.Options{Endpoints: []string{good}}); err != nil {
			t.Errorf("endpoint %q: %v", good, err)
		}
	}
	if _, err := httpclient.New(httpclient.Options{}); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("no endpoints: %v", err)
	}
}

// TestSilentEndpointIsLeft has an endpoint that takes requests and never
// answers, as a stopped process does. A write there is uncertain, but the next
// one must not go there again.
func TestSilentEndpointIsLeft(t *testing.T) {
	release := make(chan struct{})
	silent := newNode(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	good := newNode(t, works)
	c := newClient(t, silent.URL, good.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := kv.Put(ctx, c, kv.PutRequest{Key: []byte("k")}); !errors.Is(err, kv.ErrUncertain) {
		t.Errorf("write to the silent endpoint: %v", err)
	}
	if _, err := kv.Put(t.Context(), c, kv.PutRequest{Key: []byte("k")}); err != nil {
		t.Errorf("the next write: %v", err)
	}
	if silent.requests.Load() != 1 || good.requests.Load() != 1 {
		t.Errorf("%d and %d requests", silent.requests.Load(), good.requests.Load())
	}
}
