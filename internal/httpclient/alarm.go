package httpclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

const alarmsPath = "/v1/alarms"

// Alarms lists the alarms of the cluster, by node and kind.
func (c *Client) Alarms(ctx context.Context) ([]kv.Alarm, error) {
	return c.alarms(ctx, &call{method: http.MethodGet, path: alarmsPath})
}

// ClearAlarms clears the alarms of a node and of a kind, 0 of either being all,
// and returns those that were raised.
func (c *Client) ClearAlarms(ctx context.Context, of kv.Alarm) ([]kv.Alarm, error) {
	query := url.Values{}
	if of.Node != 0 {
		query.Set("node", strconv.FormatUint(uint64(of.Node), 10))
	}
	if of.Kind != 0 {
		query.Set("kind", of.Kind.String())
	}
	return c.alarms(ctx, &call{
		method: http.MethodDelete, path: alarmsPath, query: query, writes: true,
	})
}

func (c *Client) alarms(ctx context.Context, call *call) ([]kv.Alarm, error) {
	got, err := c.do(ctx, call)
	if err != nil {
		return nil, err
	}
	var j kvjson.Alarms
	if err := got.decode(call, &j); err != nil {
		return nil, err
	}
	return j.Alarms, nil
}
