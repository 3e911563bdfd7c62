package httpapi

import (
	"context"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// timedStore bounds every call of a store but Watch, which lasts.
type timedStore struct {
	kv.Store
	timeout time.Duration
}

// Range implements kv.Store.
func (s *timedStore) Range(
	ctx context.Context, req kv.RangeRequest,
) (kv.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Range(ctx, req)
}

// Txn implements kv.Store.
func (s *timedStore) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Txn(ctx, req)
}

// Compact implements kv.Store.
func (s *timedStore) Compact(ctx context.Context, rev kv.Revision) (kv.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Compact(ctx, rev)
}

// LeaseGrant implements kv.Store.
func (s *timedStore) LeaseGrant(
	ctx context.Context, req kv.LeaseGrantRequest,
) (kv.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.LeaseGrant(ctx, req)
}

// LeaseRevoke implements kv.Store.
func (s *timedStore) LeaseRevoke(ctx context.Context, id kv.LeaseID) (kv.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.LeaseRevoke(ctx, id)
}

// LeaseKeepAlive implements kv.Store.
func (s *timedStore) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.LeaseKeepAlive(ctx, id)
}

// LeaseTimeToLive implements kv.Store.
func (s *timedStore) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.LeaseTimeToLive(ctx, id, keys)
}

// Leases implements kv.Store.
func (s *timedStore) Leases(ctx context.Context) (kv.LeaseList, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Leases(ctx)
}

// Status implements kv.Store.
func (s *timedStore) Status(ctx context.Context) (kv.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Status(ctx)
}
