package httpclient

import (
	"context"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

var errUnserved = fmt.Errorf("%w: not served yet", kv.ErrInvalid)

// Compact implements kv.Store.
func (c *Client) Compact(context.Context, kv.Revision) (kv.Revision, error) {
	return 0, errUnserved
}

// Watch implements kv.Store.
func (c *Client) Watch(context.Context) (kv.WatchStream, error) { return nil, errUnserved }

// LeaseGrant implements kv.Store.
func (c *Client) LeaseGrant(context.Context, kv.LeaseGrantRequest) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// LeaseRevoke implements kv.Store.
func (c *Client) LeaseRevoke(context.Context, kv.LeaseID) (kv.Revision, error) {
	return 0, errUnserved
}

// LeaseKeepAlive implements kv.Store.
func (c *Client) LeaseKeepAlive(context.Context, kv.LeaseID) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// LeaseTimeToLive implements kv.Store.
func (c *Client) LeaseTimeToLive(context.Context, kv.LeaseID, bool) (kv.Lease, error) {
	return kv.Lease{}, errUnserved
}

// Leases implements kv.Store.
func (c *Client) Leases(context.Context) (kv.LeaseList, error) {
	return kv.LeaseList{}, errUnserved
}
