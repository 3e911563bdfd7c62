package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/kv/kvtest"
)

// TestConformance holds the API and the client together to what the store
// behind them promises.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		return serve(t, kvfake.New())
	})
}

// TestLongAnswers: an answer longer than a page of the API is put together,
// and ends where its request says.
func TestLongAnswers(t *testing.T) {
	fake := kvfake.New()
	for i := range 5 {
		put := kv.PutRequest{Key: fmt.Appendf(nil, "large/%d", i), Value: make([]byte, 600_000)}
		if _, err := kv.Put(t.Context(), fake, put); err != nil {
			t.Fatal(err)
		}
	}
	client := serve(t, fake)
	for bytesMax, want := range map[int]int{0: 5, 1: 1, 1_250_000: 3, 2_400_000: 4, 9_000_000: 5} {
		req := kv.RangeRequest{BytesMax: bytesMax, WantCount: true}
		got, err := client.Range(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.KVs) != want || got.More != (want < 5) || got.Count != 5 {
			t.Errorf("%d bytes: %d keys, more: %v, count %d; want %d keys",
				bytesMax, len(got.KVs), got.More, got.Count, want)
		}
	}
}

// TestManyKeys: so is one with more keys than a page, also in a scan.
func TestManyKeys(t *testing.T) {
	const keys = 10_100
	fake := kvfake.New()
	load(t, fake, keys)
	client := serve(t, fake)
	for limit, want := range map[int]int{0: keys, 10_050: 10_050, 7: 7} {
		got, err := client.Range(t.Context(), kv.RangeRequest{Limit: limit, KeysOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.KVs) != want || got.More != (want < keys) {
			t.Errorf("limit %d: %d keys, more: %v", limit, len(got.KVs), got.More)
		}
	}
	for _, req := range []kv.RangeRequest{{Limit: 2500}, {Limit: 2500, Reverse: true}} {
		seen := map[string]bool{}
		for pair, err := range client.Scan(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			seen[string(pair.Key)] = true
		}
		if len(seen) != 2500 {
			t.Errorf("%+v yields %d keys", req, len(seen))
		}
	}
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
