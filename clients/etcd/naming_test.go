package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// TestNaming lets gRPC find a service by the names in the store: the nodes
// themselves, of which one is taken off and added again.
func TestNaming(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		s := newService(t, c)
		for i := range c.endpoints {
			s.add(ctx, t, i)
		}
		for range 3 * len(c.endpoints) {
			s.check(ctx, t)
		}
		updates, err := s.manager.NewWatchChannel(ctx)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		await := func(names int) {
			for len(known) != names {
				for _, update := range <-updates {
					if known[update.Key] = true; update.Op == endpoints.Delete {
						delete(known, update.Key)
					}
				}
			}
		}
		await(len(c.endpoints))
		if err := s.manager.DeleteEndpoint(ctx, s.target+"/a"); err != nil {
			t.Fatal(err)
		}
		await(len(c.endpoints) - 1)
		s.add(ctx, t, 0)
		await(len(c.endpoints))
		s.check(ctx, t)
	})
}

// service is a name in the store and a connection to who has it.
type service struct {
	cluster *cluster
	target  string
	manager endpoints.Manager
	conn    *grpc.ClientConn
}

func newService(t *testing.T, c *cluster) *service {
	t.Helper()
	client := newClient(t, c.endpoints...)
	target := empty(t, client, "service/members")
	manager, err := endpoints.NewManager(client, target)
	if err != nil {
		t.Fatal(err)
	}
	builder, err := resolver.NewBuilder(client)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("etcd:///"+target, grpc.WithResolvers(builder),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &service{cluster: c, target: target, manager: manager, conn: conn}
}

// add gives the name to a node.
func (s *service) add(ctx context.Context, t *testing.T, i int) {
	t.Helper()
	addr := strings.TrimPrefix(s.cluster.endpoints[i], "http://")
	key := fmt.Sprintf("%s/%c", s.target, 'a'+i)
	if err := s.manager.AddEndpoint(ctx, key, endpoints.Endpoint{Addr: addr}); err != nil {
		t.Fatal(err)
	}
}

// check asks one that has the name for its health.
func (s *service) check(ctx context.Context, t *testing.T) {
	t.Helper()
	resp, err := healthpb.NewHealthClient(s.conn).Check(ctx, &healthpb.HealthCheckRequest{},
		grpc.WaitForReady(true))
	if err == nil && resp.Status != healthpb.HealthCheckResponse_SERVING {
		err = errors.New(resp.Status.String())
	}
	if err != nil {
		t.Error(err)
	}
}
