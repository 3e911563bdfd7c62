package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/gateway"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

func TestMain(m *testing.M) {
	// As the command does.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	os.Exit(m.Run())
}

// ailing is a fake that may have something wrong with it.
type ailing struct {
	*kvfake.Store
	mu sync.Mutex
	// reads is what all reads fail with, waiting what the node waits for.
	reads   error
	waiting string
}

// Status implements kv.Store.
func (a *ailing) Status(ctx context.Context) (kv.Status, error) {
	status, err := a.Store.Status(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	status.Waiting, status.Ready = a.waiting, a.waiting == ""
	return status, err
}

// Range implements kv.Store.
func (a *ailing) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	a.mu.Lock()
	err := a.reads
	a.mu.Unlock()
	if err != nil {
		return kv.RangeResponse{}, err
	}
	return a.Store.Range(ctx, req)
}

// Alarms implements kv.Maintainer. As on a node, it takes a leader to list them.
func (a *ailing) Alarms(ctx context.Context) ([]kv.Alarm, error) {
	if a.Standing().Leader == 0 {
		return nil, kv.ErrNoLeader
	}
	return a.Store.Alarms(ctx)
}

func (a *ailing) ail(reads error, waiting string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads, a.waiting = reads, waiting
}

// stage is a server with a gateway over a fake.
type stage struct {
	store *ailing
	url   string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	store := &ailing{Store: kvfake.New()}
	limits := kv.DefaultLimits
	limits.RequestBytesMax = 64 << 10
	services := etcdapi.New(etcdapi.Options{
		Store: store, Maintainer: store, Limits: limits, ProgressInterval: 100 * time.Millisecond,
	}).NewServer(etcdapi.ServerOptions{})
	g, err := gateway.New(gateway.Options{
		Server: services, Store: store, Maintainer: store, Limits: limits,
		Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "next has %s", r.URL.EscapedPath())
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Streams go on for longer than an answer may take.
	server := httptest.NewUnstartedServer(g)
	server.Config.WriteTimeout = 300 * time.Millisecond
	server.Config.ReadTimeout = 300 * time.Millisecond
	server.Start()
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		services.Stop()
		server.CloseClientConnections()
		server.Close()
	})
	return &stage{store: store, url: server.URL}
}

// ask sends a request and returns what came back, with the headers that matter.
func (s *stage) ask(t *testing.T, method, path string, body io.Reader) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), text)
}
