package httpapi_test

import (
	"context"
	"log/slog"
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
		return remote{serve(t, fake), fake}
	})
}

// serve is a client of a server over store.
func serve(t testing.TB, store kv.Store) *httpclient.Client {
	server := httptest.NewUnstartedServer(nil)
	logger := slog.New(slog.DiscardHandler)
	server.Config = httpapi.NewServer(httpapi.New(store, httpapi.Options{}), logger)
	server.Start()
	t.Cleanup(server.Close)
	client, err := httpclient.New(httpclient.Options{Endpoints: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
