package load

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/miruvor/miruvor/bench/etcdstore"
)

// TestWorkloadsOnEtcd: both clients run all workloads, and etcd's answers pass their checks.
func TestWorkloadsOnEtcd(t *testing.T) {
	server, err := etcdstore.StartServer(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	endpoints := server.Client().Endpoints()
	lean, err := NewLean(endpoints, 3)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := NewStandard(endpoints, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]Client{"lean": lean, "standard": standard} {
		shape := testShape()
		if err := client.Fill(shape); err != nil {
			t.Fatal(err)
		}
		for _, w := range Workloads(shape) {
			t.Run(name+"/"+w.Name, func(t *testing.T) { runShortly(t, client, &w, shape) })
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func runShortly(t *testing.T, client Client, w *Workload, s *Shape) {
	calls := 0
	count := func() error { calls++; return nil }
	window := Window{Length: 100 * time.Millisecond, Begin: count, End: count}
	if w.Watchers > 0 {
		window.Length *= 5 // etcd looks after watchers that were behind ten times a second
	}
	result, err := client.Run(w, s, window)
	if err != nil {
		t.Fatal(err)
	}
	if result.Count == 0 || result.Elapsed < window.Length || calls != 2 {
		t.Errorf("%d in %v, %d marks", result.Count, result.Elapsed, calls)
	}
	if p50 := result.Latency.Quantile(0.5); p50 <= 0 || p50 > time.Second {
		t.Errorf("p50 %v", p50)
	}
}

// liar answers gets with nothing.
type liar struct{ pb.UnimplementedKVServer }

func (liar) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1}}, nil
}

// TestWrongAnswersEndRuns: a fast server that answers wrong has no figures.
func TestWrongAnswersEndRuns(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, liar{})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	defer running.Wait()
	defer server.Stop()
	endpoints := []string{listener.Addr().String()}
	lean, err := NewLean(endpoints, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer lean.Close()
	standard, err := NewStandard(endpoints, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer standard.Close()
	shape := testShape()
	for name, client := range map[string]Client{"lean": lean, "standard": standard} {
		nothing := func() error { return nil }
		window := Window{Length: time.Minute, Begin: nothing, End: nothing}
		get := &Workload{Clients: 4, next: nextGet}
		if _, err := client.Run(get, shape, window); err == nil ||
			!strings.Contains(err.Error(), "0 keys") {
			t.Errorf("%s: wrong answers to gets: %v", name, err)
		}
		put := &Workload{Clients: 4, next: nextPut}
		if _, err := client.Run(put, shape, window); err == nil ||
			!strings.Contains(err.Error(), "not implemented") {
			t.Errorf("%s: refused puts: %v", name, err)
		}
	}
}
