package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestNeedsLeader: who says so is refused without a leader, at once, and a
// stream of such a client ends after three election timeouts in a row.
func TestNeedsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := kvfake.New()
		conn := serve(t, etcdapi.Options{
			Store: fake, Maintainer: fake, ElectionTimeout: time.Second,
		})
		leader, get := fake.Standing(), &pb.RangeRequest{Key: []byte("a")}
		needy := metadata.AppendToOutgoingContext(t.Context(),
			rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader)
		stream := keepAlive(t, needy, conn)
		other := keepAlive(t, t.Context(), conn)
		// A short time without a leader does not count.
		fake.Stand(kv.Standing{Node: 1})
		time.Sleep(2500 * time.Millisecond)
		fake.Stand(leader)
		time.Sleep(time.Second)
		renew(t, stream)

		fake.Stand(kv.Standing{Node: 1})
		if _, err := pb.NewKVClient(conn).Range(needy, get); !isNoLeader(err) {
			t.Errorf("without a leader a client that needs one is told %v", err)
		}
		if _, err := pb.NewKVClient(conn).Range(t.Context(), get); err != nil {
			t.Error(err)
		}
		if _, err := keepAliveError(needy, conn); !isNoLeader(err) {
			t.Errorf("without a leader a stream that needs one is told %v", err)
		}
		began := time.Now()
		if _, err := stream.Recv(); !isNoLeader(err) {
			t.Errorf("the stream ended with %v", err)
		}
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("the stream ended after %v", took)
		}
		renew(t, other)
		if err := other.CloseSend(); err != nil {
			t.Error(err)
		}
	})
}

func isNoLeader(err error) bool {
	return status.Code(err) == codes.Unavailable &&
		errors.Is(rpctypes.Error(err), rpctypes.ErrNoLeader)
}

func keepAlive(
	t *testing.T, ctx context.Context, conn *grpc.ClientConn,
) pb.Lease_LeaseKeepAliveClient {
	t.Helper()
	stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	renew(t, stream)
	return stream
}

// keepAliveError is what a new stream is told first.
func keepAliveError(
	ctx context.Context, conn *grpc.ClientConn,
) (*pb.LeaseKeepAliveResponse, error) {
	stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx)
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func renew(t *testing.T, stream pb.Lease_LeaseKeepAliveClient) {
	t.Helper()
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
}

// hooked is a store whose reads do something first.
type hooked struct {
	*kvfake.Store
	before func(context.Context)
}

func (h hooked) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	h.before(ctx)
	return h.Store.Range(ctx, req)
}

// TestPanic: a handler that panics fails one request, and says so in the log.
func TestPanic(t *testing.T) {
	var (
		log      strings.Builder
		fake     = kvfake.New()
		fail     atomic.Bool
		registry = prometheus.NewRegistry()
	)
	store := hooked{fake, func(context.Context) {
		if fail.Load() {
			panic("out of luck")
		}
	}}
	conn := serve(t, etcdapi.Options{
		Store: store, Maintainer: fake, Registry: registry,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	client := pb.NewKVClient(conn)
	fail.Store(true)
	_, err := client.Range(t.Context(), &pb.RangeRequest{Key: []byte("a")})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "luck") {
		t.Errorf("a panic is told as %v", err)
	}
	stream, err := client.RangeStream(t.Context(), &pb.RangeRequest{Key: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("a panic of a stream is told as %v", err)
	}
	fail.Store(false)
	if _, err := client.Range(t.Context(), &pb.RangeRequest{Key: []byte("a")}); err != nil {
		t.Error(err)
	}
	if _, err := client.Range(t.Context(), &pb.RangeRequest{}); err == nil {
		t.Error("a request without a key has an answer")
	}
	for _, want := range []string{"etcdserverpb.KV/Range", "out of luck", "gate_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	counted := map[string]bool{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.Metric {
			counted[fmt.Sprint(family.GetName(), metric.GetLabel())] = true
		}
	}
	for _, code := range []string{"OK", "InvalidArgument", "Internal"} {
		want := fmt.Sprint("miruvor_grpc_request_duration_seconds",
			labels("etcdserverpb.KV/Range", code))
		if !counted[want] {
			t.Errorf("no count of %s in %v", want, counted)
		}
	}
	want := fmt.Sprint("miruvor_grpc_streams_ended_total",
		labels("etcdserverpb.KV/RangeStream", "Internal"))
	if !counted[want] {
		t.Errorf("no count of %s in %v", want, counted)
	}
}

func labels(method, code string) []*dto.LabelPair {
	return []*dto.LabelPair{
		{Name: new("code"), Value: new(code)},
		{Name: new("method"), Value: new(method)},
	}
}

// TestStop: requests under way are answered, as far as there is time, streams
// are told why they end, and afterwards nothing runs.
func TestStop(t *testing.T) {
	for _, enough := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { testStop(t, enough) })
	}
}

func testStop(t *testing.T, enough bool) {
	fake := kvfake.New()
	running := atomic.Int32{}
	store := hooked{fake, func(ctx context.Context) {
		running.Add(1)
		defer running.Add(-1)
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
		}
	}}
	api := etcdapi.New(etcdapi.Options{Store: store, Maintainer: fake})
	server := api.NewServer(etcdapi.ServerOptions{})
	conn := connect(t, server)
	watch, err := pb.NewWatchClient(conn).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error)
	go func() {
		_, err := pb.NewKVClient(conn).Range(t.Context(), &pb.RangeRequest{Key: []byte("a")})
		answer <- err
	}()
	synctest.Wait()
	limit := time.Hour
	if !enough {
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	go api.Stop(ctx, server)
	if _, err := watch.Recv(); !errors.Is(rpctypes.Error(err), rpctypes.ErrStopped) {
		t.Errorf("the stream ended with %v", err)
	}
	if err := <-answer; (err == nil) != enough {
		t.Errorf("enough time %v: %v", enough, err)
	}
	synctest.Wait()
	api.Stop(ctx, server)
	if n := running.Load(); n != 0 {
		t.Errorf("%d handlers run after the end", n)
	}
}
