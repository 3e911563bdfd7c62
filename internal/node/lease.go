package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// chosenIDBits bounds the ids that are chosen here, so that a JSON number holds
// them exactly.
const chosenIDBits = 53

// grantTries is how often another id is chosen if the last one was taken.
const grantTries = 3

// LeaseGrant implements kv.Store.
func (n *Node) LeaseGrant(ctx context.Context, req kv.LeaseGrantRequest) (kv.Lease, error) {
	if req.ID < 0 {
		return kv.Lease{}, kv.Invalid("lease id is %d, it must not be negative", req.ID)
	}
	if err := n.checkRoom(); err != nil {
		return kv.Lease{}, err
	}
	chosen := req.ID == 0
	for try := 1; ; try++ {
		if chosen {
			req.ID = chooseID()
		}
		lease, err := n.lease(ctx, &wire.Lease{Op: wire.LeaseGrant, ID: req.ID, TTL: req.TTL})
		if !chosen || try == grantTries || !errors.Is(err, kv.ErrLeaseExists) {
			return lease, err
		}
	}
}

// chooseID draws the id of a lease: positive, not likely to be taken, and with the
// highest bit, so that all are as long.
func chooseID() kv.LeaseID {
	const highest = 1 << (chosenIDBits - 1)
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return kv.LeaseID(highest | binary.BigEndian.Uint64(b[:])%highest)
}

// LeaseRevoke implements kv.Store.
func (n *Node) LeaseRevoke(ctx context.Context, id kv.LeaseID) (kv.Revision, error) {
	lease, err := n.lease(ctx, &wire.Lease{Op: wire.LeaseRevoke, ID: id})
	if err == nil {
		n.wrote(lease.Revision)
	}
	return lease.Revision, err
}

// LeaseKeepAlive implements kv.Store.
func (n *Node) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	return n.lease(ctx, &wire.Lease{Op: wire.LeaseKeepAlive, ID: id})
}

// LeaseTimeToLive implements kv.Store.
func (n *Node) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	r, err := n.doAt(ctx, kv.SystemShard, worker.Request{
		Lease: &wire.Lease{Op: wire.LeaseTimeToLive, ID: id}, LeaseKeys: keys,
	})
	if err != nil {
		return kv.Lease{}, err
	}
	return r.Lease.Lease, nil
}

// Leases implements kv.Store.
func (n *Node) Leases(ctx context.Context) (kv.LeaseList, error) {
	r, err := n.doAt(ctx, kv.SystemShard, worker.Request{Lease: &wire.Lease{Op: wire.LeaseList}})
	if err != nil {
		return kv.LeaseList{}, err
	}
	return kv.LeaseList{IDs: r.Lease.IDs, Revision: r.Lease.Lease.Revision}, nil
}

func (n *Node) lease(ctx context.Context, req *wire.Lease) (kv.Lease, error) {
	r, err := n.doAt(ctx, kv.SystemShard, worker.Request{Lease: req})
	if err != nil {
		return kv.Lease{}, err
	}
	return r.Lease.Lease, nil
}
