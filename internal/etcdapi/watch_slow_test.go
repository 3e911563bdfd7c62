package etcdapi_test

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// slowChanges are more than a stream's queue and a client's window hold.
const (
	slowChanges    = 200
	slowValueBytes = 32 << 10
)

// slow is a client that has a watch and does not read what it is told.
func slow(t *testing.T) (pb.Watch_WatchClient, running) {
	t.Helper()
	n := startNodes(t, watchSplits(), 1)[0]
	conn := serve(t, etcdapi.Options{Store: n, Maintainer: n})
	stream, err := pb.NewWatchClient(conn).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	create(t, stream, &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}})
	for i := range uint32(slowChanges) {
		value := binary.BigEndian.AppendUint32(make([]byte, 0, slowValueBytes), i)
		put := kv.PutRequest{Key: []byte{'a' + byte(i%8)}, Value: value[:slowValueBytes]}
		if _, err := kv.Put(t.Context(), n, put); err != nil {
			t.Fatal(err)
		}
	}
	return stream, n
}

// create adds a watch, and waits until it is there.
func create(t *testing.T, stream pb.Watch_WatchClient, req *pb.WatchCreateRequest) {
	t.Helper()
	if err := stream.Send(&pb.WatchRequest{
		RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: req},
	}); err != nil {
		t.Fatal(err)
	}
	if resp, err := stream.Recv(); err != nil || !resp.Created || resp.Canceled {
		t.Fatalf("told %v, %v", resp, err)
	}
}

// TestSlowClient: who does not read for a while is told of everything later, and
// what it was not told yet is not progress.
func TestSlowClient(t *testing.T) {
	stream, n := slow(t)
	if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
		ProgressRequest: &pb.WatchProgressRequest{},
	}}); err != nil {
		t.Fatal(err)
	}
	next := uint32(0)
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if resp.WatchId == -1 {
			break
		}
		for _, e := range resp.Events {
			if got := binary.BigEndian.Uint32(e.Kv.Value); got != next {
				t.Fatalf("told of %d, want %d", got, next)
			}
			next++
		}
	}
	if next != slowChanges {
		t.Errorf("progress is told after %d of %d", next, slowChanges)
	}
	// Its node stops: it is told to go on elsewhere.
	n.stop()
	if _, err := stream.Recv(); status.Convert(err).Message() != "etcdserver: server stopped" {
		t.Errorf("the stream ends with %v", err)
	}
}

// TestSlowClientOfTheCompacted: what is compacted before it was told ends the
// watch, and the client learns where history begins.
func TestSlowClientOfTheCompacted(t *testing.T) {
	stream, n := slow(t)
	last, err := n.Range(t.Context(), kv.RangeRequest{CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Compact(t.Context(), last.Revision); err != nil {
		t.Fatal(err)
	}
	told := 0
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		told += len(resp.Events)
		if !resp.Canceled {
			continue
		}
		if resp.CompactRevision != int64(last.Revision) || resp.Header.Revision != 0 ||
			resp.CancelReason != "" || resp.Created {
			t.Errorf("the watch ends with %v", resp)
		}
		if told == 0 || told >= slowChanges {
			t.Errorf("it was told of %d changes", told)
		}
		return
	}
}

// TestGoneClient: nothing is left of a client that went away.
func TestGoneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, registry := kvfake.New(), prometheus.NewRegistry()
		conn := serve(t, etcdapi.Options{Store: fake, Maintainer: fake, Registry: registry})
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := pb.NewWatchClient(conn).Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		create(t, stream, &pb.WatchCreateRequest{Key: []byte("k"), ProgressNotify: true})
		if n := openStreams(t, registry); n != 1 {
			t.Errorf("%v streams are open, want 1", n)
		}
		cancel()
		if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("the stream ends with %v", err)
		}
		synctest.Wait()
		if n := openStreams(t, registry); n != 0 {
			t.Errorf("%v streams are open, want 0", n)
		}
	})
}

// openStreams is what the metrics tell.
func openStreams(t *testing.T, registry *prometheus.Registry) (open float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "miruvor_grpc_streams" {
			continue
		}
		for _, m := range family.GetMetric() {
			open += m.GetGauge().GetValue()
		}
	}
	return open
}
