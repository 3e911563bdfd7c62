package load

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// moody serves a put, refuses one, fails one, and leaves one without an answer, in turns.
type moody struct {
	pb.UnimplementedKVServer
	mu   sync.Mutex
	puts int64
}

func (m *moody) Put(ctx context.Context, _ *pb.PutRequest) (*pb.PutResponse, error) {
	m.mu.Lock()
	m.puts++
	turn := m.puts % 4
	m.mu.Unlock()
	switch turn {
	case 1:
		return nil, status.Error(codes.ResourceExhausted, refusedText)
	case 2:
		return nil, errors.New("no mood")
	case 3:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &pb.PutResponse{Header: &pb.ResponseHeader{Revision: 1}}, nil
}

func (m *moody) asked() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

// TestFlood: each call is counted as what became of it, and none is waited for before the
// next begins.
func TestFlood(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, m := grpc.NewServer(), &moody{}
	pb.RegisterKVServer(server, m)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	defer running.Wait()
	defer server.Stop()
	flood, err := NewFlood([]string{listener.Addr().String()}, 2)
	if err != nil {
		t.Fatal(err)
	}
	puts := &Workload{next: nextPut}
	pace := Pace{PerSecond: 2000, Length: 300 * time.Millisecond, Patience: 200 * time.Millisecond}
	for range 2 { // the second run counts for itself
		before := m.asked()
		out, err := flood.Run(puts, testShape(), pace)
		if err != nil {
			t.Fatal(err)
		}
		if out.Offered < 300 || out.Offered > 900 {
			t.Errorf("%d calls, 600 were due", out.Offered)
		}
		asked := m.asked() - before
		if out.Offered != asked || out.Served+out.Refused+out.Late+out.Failed != asked {
			t.Errorf("%d were asked: %+v", asked, out)
		}
		for _, n := range []int64{out.Served, out.Refused, out.Late, out.Failed} {
			if n < asked/4-1 || n > asked/4+1 {
				t.Errorf("%d served, %d refused, %d late, %d failed",
					out.Served, out.Refused, out.Late, out.Failed)
				break
			}
		}
		for text := range out.Failures {
			if !strings.Contains(text, "no mood") {
				t.Errorf("failure %q", text)
			}
		}
	}
	if err := flood.Close(); err != nil {
		t.Error(err)
	}
}
