package etcdstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// LeaseGrant implements kv.Store.
func (s *Store) LeaseGrant(ctx context.Context, req kv.LeaseGrantRequest) (kv.Lease, error) {
	resp, err := s.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: int64(req.ID), TTL: req.TTL})
	if err != nil {
		return kv.Lease{}, failure(err)
	}
	return kv.Lease{
		ID:       kv.LeaseID(resp.ID),
		TTL:      resp.TTL,
		Granted:  resp.TTL,
		Revision: kv.Revision(resp.Header.Revision),
	}, nil
}

// LeaseRevoke implements kv.Store.
func (s *Store) LeaseRevoke(ctx context.Context, id kv.LeaseID) (kv.Revision, error) {
	resp, err := s.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: int64(id)})
	if err != nil {
		return 0, failure(err)
	}
	return kv.Revision(resp.Header.Revision), nil
}

// LeaseKeepAlive implements kv.Store. What etcd answers is all of the lease's
// time, which is what was granted.
func (s *Store) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return kv.Lease{}, failure(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil {
		return kv.Lease{}, failure(err)
	}
	resp, err := stream.Recv()
	switch {
	case err != nil:
		return kv.Lease{}, failure(err)
	case resp.TTL <= 0:
		return kv.Lease{}, fmt.Errorf("%w: %d", kv.ErrLeaseNotFound, id)
	}
	return kv.Lease{
		ID:       kv.LeaseID(resp.ID),
		TTL:      resp.TTL,
		Granted:  resp.TTL,
		Revision: kv.Revision(resp.Header.Revision),
	}, nil
}

// LeaseTimeToLive implements kv.Store. Etcd tells the keys in no order.
func (s *Store) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	req := &pb.LeaseTimeToLiveRequest{ID: int64(id), Keys: keys}
	resp, err := s.lease.LeaseTimeToLive(ctx, req)
	switch {
	case err != nil:
		return kv.Lease{}, failure(err)
	case resp.TTL < 0 && resp.GrantedTTL == 0:
		return kv.Lease{}, fmt.Errorf("%w: %d", kv.ErrLeaseNotFound, id)
	}
	slices.SortFunc(resp.Keys, bytes.Compare)
	return kv.Lease{
		ID:       kv.LeaseID(resp.ID),
		TTL:      resp.TTL,
		Granted:  resp.GrantedTTL,
		Keys:     resp.Keys,
		Revision: kv.Revision(resp.Header.Revision),
	}, nil
}

// Leases implements kv.Store. Etcd lists leases by their time left.
func (s *Store) Leases(ctx context.Context) (kv.LeaseList, error) {
	resp, err := s.lease.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	if err != nil {
		return kv.LeaseList{}, failure(err)
	}
	list := kv.LeaseList{Revision: kv.Revision(resp.Header.Revision)}
	for _, lease := range resp.Leases {
		list.IDs = append(list.IDs, kv.LeaseID(lease.ID))
	}
	slices.Sort(list.IDs)
	return list, nil
}
