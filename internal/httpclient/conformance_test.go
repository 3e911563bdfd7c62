package httpclient_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
)

// remote is a client and, beside the API, the fake's way to compact.
type remote struct {
	*httpclient.Client
	fake *kvfake.Store
}

func (r remote) Compact(ctx context.Context, revision kv.Revision) error {
	return r.fake.Compact(ctx, revision)
}

// TestConformance holds the API and the client together to what the store
// behind them promises.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		fake := kvfake.New()
		server := httptest.NewUnstartedServer(nil)
		server.Config = httpapi.NewServer(httpapi.New(fake, httpapi.Options{}), discard())
		server.Start()
		t.Cleanup(server.Close)
		client := newClient(t, server.URL)
		return remote{client, fake}
	})
}
