package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// hookedStore calls a function before each read and each transaction.
type hookedStore struct {
	kv.Store
	hook func(ctx context.Context, read *kv.RangeRequest) error
}

func (s hookedStore) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	if err := s.hook(ctx, &req); err != nil {
		return kv.RangeResponse{}, err
	}
	return s.Store.Range(ctx, req)
}

func (s hookedStore) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	if err := s.hook(ctx, nil); err != nil {
		return kv.TxnResponse{}, err
	}
	return s.Store.Txn(ctx, req)
}

func do(handler http.Handler, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := hookedStore{kvfake.New(), func(ctx context.Context, read *kv.RangeRequest) error {
			<-ctx.Done()
			if read == nil {
				return fmt.Errorf("%w: %w", kv.ErrUncertain, ctx.Err())
			}
			return fmt.Errorf("%w: %w", kv.ErrTimeout, ctx.Err())
		}}
		handler := httpapi.New(store, httpapi.Options{RequestTimeout: 3 * time.Second})
		for method, want := range map[string]int{"GET": 504, "PUT": 503} {
			begin := time.Now()
			got := do(handler, method, "/v1/kv/a", "x")
			if got.Code != want || time.Since(begin) != 3*time.Second {
				t.Errorf("%s: %d after %v", method, got.Code, time.Since(begin))
			}
		}
	})
}

// TestRevisionOfErrors: an error tells the highest revision there was, though
// a stale read came in between.
func TestRevisionOfErrors(t *testing.T) {
	store := scriptedStore{kvfake.New(), &[]kv.Revision{9, 5, 0}}
	handler := httpapi.New(store, httpapi.Options{})
	for i, want := range []string{"9", "5", "9"} {
		got := do(handler, "GET", "/v1/kv/a", "")
		if revision := got.Header().Get("Miruvor-Revision"); revision != want {
			t.Errorf("answer %d, %d: revision %s, want %s", i, got.Code, revision, want)
		}
	}
}

// scriptedStore answers reads at the revisions in left; 0 is an error.
type scriptedStore struct {
	kv.Store
	left *[]kv.Revision
}

func (s scriptedStore) Range(context.Context, kv.RangeRequest) (kv.RangeResponse, error) {
	revision := (*s.left)[0]
	*s.left = (*s.left)[1:]
	if revision == 0 {
		return kv.RangeResponse{}, kv.ErrNoLeader
	}
	return kv.RangeResponse{Revision: revision}, nil
}

func TestPanicIsAnInternalError(t *testing.T) {
	store := hookedStore{kvfake.New(), func(context.Context, *kv.RangeRequest) error {
		panic("a bug")
	}}
	var logged strings.Builder
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	handler := httpapi.New(store, httpapi.Options{Logger: logger})
	got := do(handler, "PUT", "/v1/kv/a", "x")
	if got.Code != 500 || !strings.Contains(got.Body.String(), `"uncertain": true`) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if !strings.Contains(logged.String(), "a bug") || strings.Contains(got.Body.String(), "a bug") {
		t.Errorf("the log has %q, the client %s", logged.String(), got.Body)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	handler := httpapi.New(kvfake.New(), httpapi.Options{Registry: registry})
	for _, request := range []string{
		"PUT /v1/kv/a", "GET /v1/kv/a", "GET /v1/kv/b", "GET /nowhere/1", "BREW /v1/kv/a",
		"GET /v1/kv/c",
	} {
		method, path, _ := strings.Cut(request, " ")
		do(handler, method, path, "")
	}
	text := do(handler, "GET", "/metrics", "").Body.String()
	const name = "miruvor_http_request_duration_seconds_count"
	for labels, count := range map[string]int{
		`{code="201",method="PUT",route="/v1/kv/{key}"}`:   1,
		`{code="200",method="GET",route="/v1/kv/{key}"}`:   1,
		`{code="404",method="GET",route="/v1/kv/{key}"}`:   2,
		`{code="404",method="GET",route="none"}`:           1,
		`{code="405",method="other",route="/v1/kv/{key}"}`: 1,
	} {
		if line := fmt.Sprintf("%s%s %d\n", name, labels, count); !strings.Contains(text, line) {
			t.Errorf("no line %sin\n%s", line, text)
		}
	}
}

// TestChunkedBody: a body without a length is bounded as well.
func TestChunkedBody(t *testing.T) {
	limits := kv.DefaultLimits
	limits.RequestBytesMax = 1000
	fake := kvfake.New(kvfake.WithLimits(limits))
	server := httptest.NewServer(httpapi.New(fake, httpapi.Options{Limits: limits}))
	defer server.Close()
	for size, want := range map[int]int{999: 201, 1001: 413} {
		// Hiding the reader's type hides its length.
		body := struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))}
		url := fmt.Sprintf("%s/v1/kv/%d", server.URL, size%10)
		req, err := http.NewRequestWithContext(t.Context(), "PUT", url, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %s", size, resp.Status)
		}
	}
}

// TestStreamIsASnapshot: a stream reads bounded pages of one revision, though
// keys change between them.
func TestStreamIsASnapshot(t *testing.T) {
	fake := kvfake.New()
	load(t, fake, 2500)
	var reads []kv.RangeRequest
	store := hookedStore{fake, func(ctx context.Context, read *kv.RangeRequest) error {
		if reads = append(reads, *read); len(reads) == 1 {
			return nil
		}
		for _, key := range []string{"load/0000a", "load/2499", "load/2499a"} {
			put := kv.PutRequest{Key: []byte(key), Value: []byte("new")}
			if _, err := kv.Put(ctx, fake, put); err != nil {
				return err
			}
		}
		return nil
	}}
	req := httptest.NewRequest("GET", "/v1/kv?prefix=load/", nil)
	req.Header.Set("Accept", "application/x-ndjson")
	w := httptest.NewRecorder()
	httpapi.New(store, httpapi.Options{}).ServeHTTP(w, req)
	if lines := strings.Count(w.Body.String(), "\n"); lines != 2500 {
		t.Errorf("%d lines, want 2500", lines)
	}
	if strings.Contains(w.Body.String(), "new") {
		t.Error("the stream shows what was written after it began")
	}
	if len(reads) < 3 || !w.Flushed {
		t.Errorf("%d reads, flushed: %v", len(reads), w.Flushed)
	}
	for _, read := range reads {
		if read.Limit == 0 || read.Limit > 1000 || read.BytesMax == 0 || read.BytesMax > 1<<20 {
			t.Errorf("a read without bounds: %+v", read)
		}
	}
}

// TestStreamEndsWithItsClient: nothing is read for one who left.
func TestStreamEndsWithItsClient(t *testing.T) {
	fake := kvfake.New()
	load(t, fake, 3)
	// The store never comes to an end, so the stream would not either. It ends
	// by its context or by a write that fails, whichever is noticed first.
	api := httpapi.New(endless{fake}, httpapi.Options{})
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		api.ServeHTTP(w, r)
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /v1/kv HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\n\r\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on")
	}
}

// endless is a store that always has more.
type endless struct{ kv.Store }

func (s endless) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	req.Range = kv.Range{}
	resp, err := s.Store.Range(ctx, req)
	resp.More = true
	return resp, err
}

// TestServerBounds: a client that sends its header slowly, or one too large,
// is cut off; the longest key is not.
func TestServerBounds(t *testing.T) {
	server := httpapi.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, bound := range map[string]time.Duration{
		"read header": server.ReadHeaderTimeout, "read": server.ReadTimeout,
		"write": server.WriteTimeout, "idle": server.IdleTimeout,
	} {
		if bound <= 0 || bound > 5*time.Minute {
			t.Errorf("the %s timeout is %v", name, bound)
		}
	}
	if least := 2 * 3 * kv.DefaultLimits.KeyBytesMax; server.MaxHeaderBytes < least {
		t.Errorf("a header may have %d bytes, two keys need %d", server.MaxHeaderBytes, least)
	}
}
