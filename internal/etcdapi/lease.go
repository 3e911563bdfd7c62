package etcdapi

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// leaseServer is etcd's Lease service.
type leaseServer struct {
	pb.UnimplementedLeaseServer
	api *API
}

// anyKey is asked for where only the current revision matters.
var anyKey = []byte{0}

// LeaseGrant makes a lease.
func (s *leaseServer) LeaseGrant(
	ctx context.Context, r *pb.LeaseGrantRequest,
) (*pb.LeaseGrantResponse, error) {
	lease, err := s.api.store.LeaseGrant(ctx, kv.LeaseGrantRequest{
		ID: kv.LeaseID(r.ID), TTL: r.TTL,
	})
	if err != nil {
		return nil, failure(err)
	}
	return &pb.LeaseGrantResponse{
		Header: s.api.header(lease.Revision), ID: int64(lease.ID), TTL: lease.Granted,
	}, nil
}

// LeaseRevoke ends a lease, and its keys with it.
func (s *leaseServer) LeaseRevoke(
	ctx context.Context, r *pb.LeaseRevokeRequest,
) (*pb.LeaseRevokeResponse, error) {
	rev, err := s.api.store.LeaseRevoke(ctx, kv.LeaseID(r.ID))
	if err != nil {
		return nil, failure(err)
	}
	return &pb.LeaseRevokeResponse{Header: s.api.header(rev)}, nil
}

// LeaseTimeToLive tells how long a lease has left: -1 if there is none.
func (s *leaseServer) LeaseTimeToLive(
	ctx context.Context, r *pb.LeaseTimeToLiveRequest,
) (*pb.LeaseTimeToLiveResponse, error) {
	lease, err := s.api.store.LeaseTimeToLive(ctx, kv.LeaseID(r.ID), r.Keys)
	if errors.Is(err, kv.ErrLeaseNotFound) {
		lease = kv.Lease{TTL: -1}
		lease.Revision, err = s.api.currentRevision(ctx, anyKey)
	}
	if err != nil {
		return nil, failure(err)
	}
	return &pb.LeaseTimeToLiveResponse{
		Header: s.api.header(lease.Revision), ID: r.ID, TTL: lease.TTL,
		GrantedTTL: lease.Granted, Keys: lease.Keys,
	}, nil
}

// LeaseLeases lists all leases.
func (s *leaseServer) LeaseLeases(
	ctx context.Context, _ *pb.LeaseLeasesRequest,
) (*pb.LeaseLeasesResponse, error) {
	list, err := s.api.store.Leases(ctx)
	if err != nil {
		return nil, failure(err)
	}
	answer := &pb.LeaseLeasesResponse{Header: s.api.header(list.Revision)}
	all := make([]pb.LeaseStatus, len(list.IDs))
	for i, id := range list.IDs {
		all[i].ID = int64(id)
		answer.Leases = append(answer.Leases, &all[i])
	}
	return answer, nil
}
