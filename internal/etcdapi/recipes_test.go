package etcdapi_test

import (
	"context"
	"net"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/node"
)

// overStores runs a test with etcd's own client of a fake, and of a node whose
// shards part the queues.
func overStores(t *testing.T, test func(*testing.T, *clientv3.Client)) {
	t.Run("fake", func(t *testing.T) { test(t, etcdClient(t, kvfake.New())) })
	t.Run("node", func(t *testing.T) {
		shards := node.Cluster{Shards: 3, SplitAt: [][]byte{[]byte("job"), []byte("who/5")}}
		test(t, etcdClient(t, startNode(t, shards)))
	})
}

// etcdClient is etcd's own client of a server of the services.
func etcdClient(t *testing.T, store house) *clientv3.Client {
	t.Helper()
	server := etcdapi.New(etcdapi.Options{Store: store, Maintainer: store}).
		NewServer(etcdapi.ServerOptions{})
	listener := bufconn.Listen(1 << 20)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://127.0.0.1:1"},
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return listener.DialContext(ctx)
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client
}

func newSession(t *testing.T, client *clientv3.Client) *concurrency.Session {
	t.Helper()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(60))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// TestLockServiceAndMutex: who locks by the service and who locks by clientv3's
// mutex keep each other out.
func TestLockServiceAndMutex(t *testing.T) { overStores(t, testLockServiceAndMutex) }

func testLockServiceAndMutex(t *testing.T, client *clientv3.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	service := v3lockpb.NewLockClient(client.ActiveConnection())
	session := newSession(t, client)

	mutex := concurrency.NewMutex(session, "job")
	if err := mutex.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	locked := make(chan *v3lockpb.LockResponse, 1)
	go func() {
		resp, err := service.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("job")})
		if err != nil {
			t.Error(err)
		}
		locked <- resp
	}()
	awaitKeys(ctx, t, client, "job/", 2)
	select {
	case <-locked:
		t.Fatal("two have the lock")
	default:
	}
	if err := mutex.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
	held := <-locked
	if err := concurrency.NewMutex(session, "job").TryLock(ctx); err == nil {
		t.Fatal("two have the lock")
	}
	if _, err := service.Unlock(ctx, &v3lockpb.UnlockRequest{Key: held.Key}); err != nil {
		t.Fatal(err)
	}
	if err := mutex.Lock(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestElectionServiceAndClient: candidates of the service and of clientv3 follow
// each other, and an observer sees all.
func TestElectionServiceAndClient(t *testing.T) { overStores(t, testElectionServiceAndClient) }

func testElectionServiceAndClient(t *testing.T, client *clientv3.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	service := v3electionpb.NewElectionClient(client.ActiveConnection())

	first, err := service.Campaign(ctx, &v3electionpb.CampaignRequest{
		Name: []byte("who"), Value: []byte("service"),
	})
	if err != nil {
		t.Fatal(err)
	}
	election := concurrency.NewElection(newSession(t, client), "who")
	if leader, err := election.Leader(ctx); err != nil || string(leader.Kvs[0].Value) != "service" {
		t.Fatalf("%v leads, %v", leader, err)
	}
	seen := election.Observe(ctx)
	if got := <-seen; string(got.Kvs[0].Value) != "service" {
		t.Errorf("observed %v", got)
	}
	won := make(chan error, 1)
	go func() { won <- election.Campaign(ctx, "client") }()
	awaitKeys(ctx, t, client, "who/", 2)
	resign := &v3electionpb.ResignRequest{Leader: first.Leader}
	if _, err := service.Resign(ctx, resign); err != nil {
		t.Fatal(err)
	}
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	if got := <-seen; string(got.Kvs[0].Value) != "client" {
		t.Errorf("observed %v", got)
	}
	leader, err := service.Leader(ctx, &v3electionpb.LeaderRequest{Name: []byte("who")})
	if err != nil || string(leader.Kv.Value) != "client" {
		t.Errorf("%v leads, %v", leader, err)
	}
}

// awaitKeys waits until there are as many keys below a prefix.
func awaitKeys(
	ctx context.Context, t *testing.T, client *clientv3.Client, prefix string, n int64,
) {
	t.Helper()
	changes := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(1))
	for range changes {
		resp, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		if resp.Count >= n {
			return
		}
	}
	t.Fatal(ctx.Err())
}
