package etcdapi

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthServer is gRPC's own service of health: all services are as healthy as
// the node is ready.
type healthServer struct {
	healthpb.UnimplementedHealthServer
	api *API
}

// healthInterval is how often a client that watches is looked after.
const healthInterval = time.Second

// wholeServer names no service, but the server.
const wholeServer = ""

var healthServices = map[string]bool{
	wholeServer:                                   true,
	pb.KV_ServiceDesc.ServiceName:                 true,
	pb.Watch_ServiceDesc.ServiceName:              true,
	pb.Lease_ServiceDesc.ServiceName:              true,
	pb.Cluster_ServiceDesc.ServiceName:            true,
	pb.Maintenance_ServiceDesc.ServiceName:        true,
	pb.Auth_ServiceDesc.ServiceName:               true,
	v3lockpb.Lock_ServiceDesc.ServiceName:         true,
	v3electionpb.Election_ServiceDesc.ServiceName: true,
}

// Check tells how the service is.
func (s *healthServer) Check(
	ctx context.Context, r *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if !healthServices[r.Service] {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.HealthCheckResponse{Status: s.health(ctx)}, nil
}

// List tells how all services are.
func (s *healthServer) List(
	ctx context.Context, _ *healthpb.HealthListRequest,
) (*healthpb.HealthListResponse, error) {
	answer := &healthpb.HealthListResponse{Statuses: map[string]*healthpb.HealthCheckResponse{}}
	for service := range healthServices {
		answer.Statuses[service] = &healthpb.HealthCheckResponse{Status: s.health(ctx)}
	}
	return answer, nil
}

// Watch tells how the service is, and then whenever that changed. Of one that is
// not there it says so.
func (s *healthServer) Watch(
	r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse],
) error {
	ctx := stream.Context()
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	told := healthpb.HealthCheckResponse_UNKNOWN
	for {
		now := healthpb.HealthCheckResponse_SERVICE_UNKNOWN
		if healthServices[r.Service] {
			now = s.health(ctx)
		}
		if now != told {
			told = now
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (s *healthServer) health(ctx context.Context) healthpb.HealthCheckResponse_ServingStatus {
	if s.api.draining.Err() != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	node, err := s.api.store.Status(ctx)
	if err != nil || !node.Ready {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}
