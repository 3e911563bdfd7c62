package httpclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// LeaseGrant implements kv.Store.
func (c *Client) LeaseGrant(ctx context.Context, req kv.LeaseGrantRequest) (kv.Lease, error) {
	body, err := json.Marshal(kvjson.NewGrant(req))
	if err != nil {
		return kv.Lease{}, fmt.Errorf("encode the lease: %w", err)
	}
	return c.lease(ctx, &call{
		method: http.MethodPost, path: "/v1/leases", body: body, writes: true,
	})
}

// LeaseRevoke implements kv.Store.
func (c *Client) LeaseRevoke(ctx context.Context, id kv.LeaseID) (kv.Revision, error) {
	got, err := c.do(ctx, &call{method: http.MethodDelete, path: leasePath(id), writes: true})
	if err != nil {
		return 0, err
	}
	return got.revision(), nil
}

// LeaseKeepAlive implements kv.Store. It may be sent twice, which does what
// once does.
func (c *Client) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	return c.lease(ctx, &call{method: http.MethodPost, path: leasePath(id) + "/keepalive"})
}

// LeaseTimeToLive implements kv.Store.
func (c *Client) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	call := &call{method: http.MethodGet, path: leasePath(id)}
	if keys {
		call.query = url.Values{"keys": {"true"}}
	}
	return c.lease(ctx, call)
}

// Leases implements kv.Store.
func (c *Client) Leases(ctx context.Context) (kv.LeaseList, error) {
	call := &call{method: http.MethodGet, path: "/v1/leases"}
	got, err := c.do(ctx, call)
	if err != nil {
		return kv.LeaseList{}, err
	}
	var j kvjson.Leases
	if err := got.decode(call, &j); err != nil {
		return kv.LeaseList{}, err
	}
	return j.Decode(), nil
}

// lease runs a call whose answer is a lease.
func (c *Client) lease(ctx context.Context, call *call) (kv.Lease, error) {
	got, err := c.do(ctx, call)
	if err != nil {
		return kv.Lease{}, err
	}
	var j kvjson.LeaseStatus
	if err := got.decode(call, &j); err != nil {
		return kv.Lease{}, err
	}
	return j.Decode()
}

func leasePath(id kv.LeaseID) string {
	return "/v1/leases/" + strconv.FormatInt(int64(id), 10)
}
