package etcdapi

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// lockServer is etcd's Lock service: locks are queues.
type lockServer struct {
	v3lockpb.UnimplementedLockServer
	api *API
}

// errSessionExpired is etcd's word for a lease that ended while it waited.
var errSessionExpired = errors.New("mutex: session is expired")

// Lock waits until the lock is held, for as long as the lease lives. A lease that
// holds it already has it again at once.
func (s *lockServer) Lock(
	ctx context.Context, r *v3lockpb.LockRequest,
) (*v3lockpb.LockResponse, error) {
	ctx, release := s.api.patient(ctx)
	defer release()
	p, at, err := s.api.lock(ctx, queuePrefix(r.Name), r.Lease)
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3lockpb.LockResponse{Header: s.api.header(at), Key: p.key}, nil
}

// lock takes a place in the queue and waits for its turn. If it does not come,
// the place is given up.
func (a *API) lock(
	ctx context.Context, prefix []byte, brought int64,
) (p place, at kv.Revision, err error) {
	lease, err := a.leaseOf(ctx, brought)
	if err != nil {
		return p, 0, err
	}
	p, _, at, err = a.enqueue(ctx, prefix, lease, nil)
	if err != nil {
		return p, 0, err
	}
	waited, err := a.waitTurn(ctx, prefix, p)
	if err == nil && waited {
		at, err = a.stillIn(ctx, p)
	}
	if err != nil {
		// If that fails as well, the place goes with its lease.
		_, _ = a.leave(ctx, p)
	}
	return p, at, err
}

// stillIn is the current revision, at which p is still there.
func (a *API) stillIn(ctx context.Context, p place) (kv.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	resp, err := a.store.Range(ctx, kv.RangeRequest{Range: kv.PointRange(p.key)})
	if err != nil {
		return 0, err
	}
	if len(resp.KVs) == 0 || resp.KVs[0].CreateRevision != p.since {
		return 0, errSessionExpired
	}
	return resp.Revision, nil
}

// Unlock gives the lock up, or a place in its queue. The key is the one that Lock
// answered.
func (s *lockServer) Unlock(
	ctx context.Context, r *v3lockpb.UnlockRequest,
) (*v3lockpb.UnlockResponse, error) {
	if len(r.Key) == 0 {
		return nil, recipeFailure(rpctypes.ErrGRPCEmptyKey)
	}
	ctx, cancel := context.WithTimeout(ctx, s.api.timeout)
	defer cancel()
	resp, err := kv.Delete(ctx, s.api.store, kv.DeleteRequest{Range: kv.PointRange(r.Key)})
	if err != nil {
		return nil, recipeFailure(err)
	}
	return &v3lockpb.UnlockResponse{Header: s.api.header(resp.Revision)}, nil
}
