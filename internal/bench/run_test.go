package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

func config(server *httptest.Server) Config {
	return Config{
		Targets: []string{strings.TrimPrefix(server.URL, "http://")},
		Work:    Mixed, ReadPercent: 50, Clients: 4, Total: 400, Timeout: 5 * time.Second,
		Keys: 50, KeyBytes: 20, ValueBytes: 100, Seed: 7,
	}
}

// memory is a server that keeps values, by path.
type memory struct {
	mu     sync.Mutex
	values map[string]int
	puts   atomic.Int64
	gets   atomic.Int64
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Method == http.MethodPut {
		m.puts.Add(1)
		m.values[r.URL.Path] = int(r.ContentLength)
		w.WriteHeader(http.StatusCreated)
		return
	}
	m.gets.Add(1)
	size, ok := m.values[r.URL.Path]
	if !ok {
		http.Error(w, "no such key", http.StatusNotFound)
		return
	}
	fmt.Fprint(w, strings.Repeat("v", size))
}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestMixedLoadFillsThenCountsExactlyTheTotal(t *testing.T) {
	m := &memory{values: map[string]int{}}
	c := config(serve(t, m))
	var phases []string
	report, err := Run(t.Context(), c, func(p Progress) { phases = append(phases, p.Phase) })
	if err != nil {
		t.Fatal(err)
	}
	if len(m.values) != c.Keys {
		t.Errorf("%d keys were put, want %d", len(m.values), c.Keys)
	}
	if report.Done() != c.Total || report.Failed() != 0 {
		t.Errorf("done %d, failed %d, want %d and 0", report.Done(), report.Failed(), c.Total)
	}
	if sum := m.puts.Load() + m.gets.Load(); sum != c.Total+int64(c.Keys) {
		t.Errorf("the server saw %d requests, want %d", sum, c.Total+int64(c.Keys))
	}
	gets := report.Operations[0]
	if gets.Name != Get || gets.Done != m.gets.Load() || gets.Missing != 0 {
		t.Errorf("gets: %+v, the server saw %d", gets, m.gets.Load())
	}
	if phases[0] != "fill" || phases[len(phases)-1] != "measure" {
		t.Errorf("the phases are %v", phases)
	}
	for path, size := range m.values {
		if len(path) != len("/v1/kv/")+c.KeyBytes || size != c.ValueBytes {
			t.Fatalf("%s holds %d bytes; want keys of %d, values of %d",
				path, size, c.KeyBytes, c.ValueBytes)
		}
	}
}

func TestErrorsAreCountedByKindAndNotAsDone(t *testing.T) {
	var n atomic.Int64
	c := config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) % 4 {
		case 0:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"code": "invalid"}`)
		case 1:
			http.Error(w, strings.Repeat("teapot ", 2000), http.StatusTeapot)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})))
	c.Work = Put
	report, err := Run(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Errors["invalid"] != 100 || report.Errors["HTTP 418 I'm a teapot"] != 100 {
		t.Errorf("errors: %v, want 100 of each kind", report.Errors)
	}
	if report.Done() != 200 {
		t.Errorf("done: %d, want 200", report.Done())
	}
}

func TestClientsMoveOnToAServerThatAnswers(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	m := &memory{values: map[string]int{}}
	c := config(serve(t, m))
	c.Work, c.Total, c.Clients = Put, 100, 1
	c.Targets = append([]string{closed.Addr().String()}, c.Targets...)
	report, err := Run(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Errors["connection refused"]; got != 1 || report.Done() != 99 {
		t.Errorf("refused %d times, done %d; want 1 and 99", got, report.Done())
	}
}

func TestAConnectionThatTheServerClosesIsMadeAnew(t *testing.T) {
	c := config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})))
	report, err := Run(t.Context(), c, nil)
	if err != nil || report.Failed() != 0 || report.Done() != c.Total {
		t.Errorf("%v, done %d, errors %v", err, report.Done(), report.Errors)
	}
}

func TestKeysThatCannotBePutEndTheRun(t *testing.T) {
	c := config(serve(t, http.NotFoundHandler()))
	_, err := Run(t.Context(), c, nil)
	if err == nil || !strings.Contains(err.Error(), "HTTP 404 Not Found (") {
		t.Errorf("the error is %v", err)
	}
}

func TestTheEndOfTheContextEndsRequestsUnderWay(t *testing.T) {
	asked := make(chan struct{}, 100)
	release := make(chan struct{})
	c := config(serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})))
	defer close(release)
	c.Work, c.Total, c.Duration, c.Timeout = Put, 0, time.Hour, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	report, err := Run(ctx, c, nil)
	if !errors.Is(err, context.Canceled) || report.Failed() != 0 {
		t.Errorf("the error is %v, failed %d; want the context's and none", err, report.Failed())
	}
}

func TestValidateNamesEveryFieldAndBound(t *testing.T) {
	err := (&Config{
		Work: "dance", ReadPercent: 101, Clients: 5000, Total: 1, Duration: 1,
		Keys: 1000, KeyBytes: 11, ValueBytes: -1,
	}).Validate()
	if !errors.Is(err, kv.ErrInvalid) {
		t.Fatalf("%v is not ErrInvalid", err)
	}
	for _, want := range []string{
		`work is "dance"`, "reads is 101", "clients is 5000, it must be from 1 to 4096",
		"key-size is 11, it must be from 12 to", "value-size is -1", "exactly one of total",
		"endpoints is empty", "timeout is 0s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestKeysDifferAndSpread(t *testing.T) {
	c := Config{Keys: 5000, KeyBytes: 13}
	seen, heads := map[string]bool{}, map[byte]int{}
	for n := range c.Keys {
		path := string(c.appendPath(nil, n))
		seen[path] = true
		heads[path[len("/v1/kv/")]]++
	}
	if len(seen) != c.Keys {
		t.Errorf("%d keys of %d differ", len(seen), c.Keys)
	}
	for _, letter := range []byte(letters) {
		if got, even := heads[letter], c.Keys/len(letters); got < even/2 || got > even*2 {
			t.Errorf("%d keys begin with %c, about %d should", got, letter, even)
		}
	}
	c.Prefix = "a/ü%"
	if got := string(c.appendPath(nil, 42)); got != "/v1/kv/a%2F%C3%BC%2500000042" {
		t.Errorf("the path is %s", got)
	}
}

// rawServer answers every request on every connection with the same bytes.
func rawServer(t *testing.T, response string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					if _, err := c.Write([]byte(response)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAnswersOfEveryShape(t *testing.T) {
	for name, test := range map[string]struct{ response, want string }{
		"plain":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200"},
		"no reason": {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200"},
		"chunks": {
			"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200",
		},
		"no body": {"HTTP/1.1 204 No Content\r\n\r\n", "204"},
		"close": {
			"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "200 closes",
		},
		"no length": {"HTTP/1.1 200 OK\r\n\r\n", "malformed answer: a body without a length"},
		"not HTTP":  {"SSH-2.0-OpenSSH_9.6 on some port\r\n", "malformed answer"},
		"length":    {"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", `content-length "1x"`},
		"header":    {"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "malformed answer"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dial(t.Context(), rawServer(t, test.response), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			for range 2 {
				a, err := c.roundTrip([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				got := fmt.Sprint(a.status)
				if a.closes {
					got += " closes"
				}
				if err != nil {
					got = err.Error()
				}
				if !strings.Contains(got, test.want) {
					t.Fatalf("got %q, want %q", got, test.want)
				}
				if err != nil {
					return
				}
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	c := config(server)
	client := newClient(&c, 0, make([]byte, c.ValueBytes))
	b.ReportAllocs()
	for b.Loop() {
		client.operate(b.Context(), false, 1)
	}
}
