package httpapi

import (
	"context"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// timedStore bounds every call of a store.
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

// Status implements kv.Store.
func (s *timedStore) Status(ctx context.Context) (kv.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.Store.Status(ctx)
}
