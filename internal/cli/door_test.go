package cli

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// waitingHouse is a fake that begins unready.
type waitingHouse struct {
	*kvfake.Store
	mu    sync.Mutex
	ready bool
}

// Status implements kv.Store.
func (h *waitingHouse) Status(ctx context.Context) (kv.Status, error) {
	status, err := h.Store.Status(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if status.Ready = h.ready; !h.ready {
		status.Waiting = "a friend"
	}
	return status, err
}

func (h *waitingHouse) getReady() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = true
}

// porch is an open port, and its clients.
type porch struct {
	door   *door
	house  *waitingHouse
	url    string
	client *clientv3.Client
	failed chan error
}

func newPorch(t *testing.T) *porch {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &porch{
		house: &waitingHouse{Store: kvfake.New()}, url: "http://" + listener.Addr().String(),
		failed: make(chan error, 1),
	}
	config := &instanceConfig{}
	config.node.Logger = slog.New(slog.DiscardHandler)
	p.door, err = newDoor(p.house, config, prometheus.NewRegistry(), listener, p.failed)
	if err != nil {
		t.Fatal(err)
	}
	p.client, err = clientv3.New(clientv3.Config{Endpoints: []string{p.url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.client.Close() })
	return p
}

// ask sends a request over HTTP and returns the answer's status and body.
func (p *porch) ask(t *testing.T, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
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
	return resp.Status + " " + string(text)
}

// TestOnePortForAll: gRPC, etcd's JSON and /v1 are the same keys at one address.
func TestOnePortForAll(t *testing.T) {
	p := newPorch(t)
	p.house.getReady()
	if _, err := p.client.Put(t.Context(), "greeting", "hello"); err != nil {
		t.Fatal(err)
	}
	if got := p.ask(t, "GET", "/v1/kv/greeting", ""); got != "200 OK hello" {
		t.Errorf("/v1 has %q", got)
	}
	got := p.ask(t, "POST", "/v3/kv/range", `{"key":"Z3JlZXRpbmc="}`)
	if !strings.Contains(got, `"value":"aGVsbG8="`) {
		t.Errorf("/v3 has %q", got)
	}
	if got := p.ask(t, "GET", "/metrics", ""); !strings.Contains(got, "miruvor_") {
		t.Errorf("there are no metrics: %q", got)
	}
	if err := p.door.stop(time.Minute); err != nil {
		t.Error(err)
	}
	select {
	case err := <-p.failed:
		t.Errorf("to stop is no failure: %v", err)
	default:
	}
}

// TestClientsWaitForAStart: until a node is ready its probes say so, and etcd's
// clients wait.
func TestClientsWaitForAStart(t *testing.T) {
	p := newPorch(t)
	answers := make(chan error, 2)
	go func() {
		_, err := p.client.Put(t.Context(), "early", "bird")
		answers <- err
	}()
	go func() {
		got := p.ask(t, "POST", "/v3/kv/put", `{"key":"YQ=="}`)
		if !strings.HasPrefix(got, "200") {
			t.Errorf("the gateway said %q", got)
		}
		answers <- nil
	}()
	if got := p.ask(t, "GET", "/readyz", ""); !strings.HasPrefix(got, "503") ||
		!strings.Contains(got, "waiting for a friend") {
		t.Errorf("readiness is %q", got)
	}
	if got := p.ask(t, "GET", "/livez", ""); !strings.HasPrefix(got, "200") {
		t.Errorf("liveness is %q", got)
	}
	select {
	case err := <-answers:
		t.Fatalf("answered before the node was ready: %v", err)
	default:
	}
	p.house.getReady()
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := p.door.stop(time.Minute); err != nil {
		t.Error(err)
	}
}

// TestStopEndsStreams: a stop waits for no watch and for no lock, whether the node
// was ever ready or not.
func TestStopEndsStreams(t *testing.T) {
	p := newPorch(t)
	p.house.getReady()
	watch := p.client.Watch(t.Context(), "a", clientv3.WithCreatedNotify())
	<-watch
	lease, err := p.client.Grant(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := p.client.KeepAlive(t.Context(), lease.ID)
	if err != nil {
		t.Fatal(err)
	}
	<-alive
	begin := time.Now()
	if err := p.door.stop(time.Minute); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}

	early := newPorch(t)
	if err := early.door.stop(time.Minute); err != nil {
		t.Error(err)
	}
}
