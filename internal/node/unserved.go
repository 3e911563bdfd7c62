package node

import (
	"context"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

var errUnserved = fmt.Errorf("%w: not served yet", kv.ErrInvalid)

// Watch implements kv.Store.
func (n *Node) Watch(context.Context) (kv.WatchStream, error) { return nil, errUnserved }

// LeaseGrant implements kv.Store.
func (n *Node) LeaseGrant(context.Context, kv.LeaseGrantRequest) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// LeaseRevoke implements kv.Store.
func (n *Node) LeaseRevoke(context.Context, kv.LeaseID) (kv.Revision, error) {
	return 0, errUnserved
}

// LeaseKeepAlive implements kv.Store.
func (n *Node) LeaseKeepAlive(context.Context, kv.LeaseID) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// LeaseTimeToLive implements kv.Store.
func (n *Node) LeaseTimeToLive(context.Context, kv.LeaseID, bool) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// Leases implements kv.Store.
func (n *Node) Leases(context.Context) (kv.LeaseList, error) { return kv.LeaseList{}, errUnserved }
