package httpclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// Compact implements kv.Store. There is nothing below the first revision to
// forget, and HTTP does not ask for it.
func (c *Client) Compact(ctx context.Context, rev kv.Revision) (kv.Revision, error) {
	if rev <= 0 {
		return 0, fmt.Errorf("%w: %d asked", kv.ErrCompacted, rev)
	}
	body, err := json.Marshal(kvjson.NewCompact(rev))
	if err != nil {
		return 0, fmt.Errorf("encode the revision: %w", err)
	}
	call := &call{method: http.MethodPost, path: "/v1/compact", body: body, writes: true}
	got, err := c.do(ctx, call)
	if err != nil {
		return 0, err
	}
	return got.revision(), nil
}
