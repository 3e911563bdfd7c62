package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestKeptAlive: a lease lives as long as it is renewed, and its keys go once it is
// not, all at one revision.
func TestKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := kvfake.New()
		conn := serve(t, etcdapi.Options{Store: fake, Maintainer: fake})
		client, leases := pb.NewKVClient(conn), pb.NewLeaseClient(conn)
		grant := &pb.LeaseGrantRequest{ID: 1, TTL: 10}
		if _, err := leases.LeaseGrant(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "b", "c"} {
			put := &pb.PutRequest{Key: []byte(key), Lease: 1}
			if _, err := client.Put(t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		all := &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("z"), CountOnly: true}
		stream := keepAlive(t, t.Context(), conn)
		for range 20 {
			time.Sleep(9 * time.Second)
			renew(t, stream)
		}
		for _, want := range []struct {
			after time.Duration
			keys  int64
			rev   int64
		}{{9 * time.Second, 3, 4}, {2 * time.Second, 0, 5}} {
			time.Sleep(want.after)
			got, err := client.Range(t.Context(), all)
			if err != nil || got.Count != want.keys || got.Header.Revision != want.rev {
				t.Errorf("%v later: %v, %v", want.after, got, err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
	})
}

// leaderless is a store that can renew nothing.
type leaderless struct{ *kvfake.Store }

func (leaderless) LeaseKeepAlive(context.Context, kv.LeaseID) (kv.Lease, error) {
	return kv.Lease{}, fmt.Errorf("%w: in a test", kv.ErrNoLeader)
}

// TestNotRenewed: what keeps a lease from being renewed ends the stream, so that
// the client goes to another node.
func TestNotRenewed(t *testing.T) {
	fake := kvfake.New()
	conn := serve(t, etcdapi.Options{Store: leaderless{fake}, Maintainer: fake})
	stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(rpctypes.Error(err), rpctypes.ErrNoLeader) {
		t.Errorf("the stream ended with %v", err)
	}
}

// slowLeases takes its time to renew, the more the lower the lease's id.
type slowLeases struct{ *kvfake.Store }

func (s slowLeases) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	pass(time.Second - time.Duration(id)*time.Millisecond)
	return s.Store.LeaseKeepAlive(ctx, id)
}

// TestRenewedSideBySide: a client's leases are renewed in the time that one takes, and
// answered in the order in which it asked.
func TestRenewedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := kvfake.New()
		conn := serve(t, etcdapi.Options{Store: slowLeases{fake}, Maintainer: fake})
		leases := pb.NewLeaseClient(conn)
		const count = 100
		for id := range int64(count) {
			grant := &pb.LeaseGrantRequest{ID: id + 1, TTL: 10}
			if _, err := leases.LeaseGrant(t.Context(), grant); err != nil {
				t.Fatal(err)
			}
		}
		stream := keepAlive(t, t.Context(), conn)
		began := time.Now()
		for id := range int64(count) {
			if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id + 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		for id := range int64(count) {
			answer, err := stream.Recv()
			if err != nil || answer.ID != id+1 || answer.TTL != 10 {
				t.Fatalf("lease %d: %v, %v", id+1, answer, err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
	})
}
