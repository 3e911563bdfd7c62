package httpclient_test

import (
	"log/slog"
	"testing"

	"github.com/miruvor/miruvor/internal/httpclient"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newClient(t *testing.T, endpoints ...string) *httpclient.Client {
	t.Helper()
	client, err := httpclient.New(httpclient.Options{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
