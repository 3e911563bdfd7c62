package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/gateway"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// fuzzPaths are those that a fuzzer chooses from.
var fuzzPaths = []string{
	"/v3/kv/put", "/v3/kv/range", "/v3/kv/deleterange", "/v3/kv/txn", "/v3/kv/compaction",
	"/v3/lease/grant", "/v3/lease/revoke", "/v3/lease/timetolive", "/v3/lease/leases",
	"/v3/lease/keepalive", "/v3/watch", "/v3/maintenance/status", "/v3/maintenance/alarm",
	"/v3/maintenance/hash", "/v3/maintenance/snapshot", "/v3/cluster/member/list",
	"/v3/cluster/member/add", "/v3/auth/status", "/v3/lock/lock", "/v3/lock/unlock",
	"/v3/election/leader", "/v3/election/proclaim", "/v3beta/kv/range", "/v3alpha/watch",
	"/v3/kv/nothing", "/version", "/health",
}

// FuzzJSON posts JSON to the services. What comes back is JSON, line by line, and no
// failure of the server's own; and what is put is what protojson says that it is.
func FuzzJSON(f *testing.F) {
	for i, body := range []string{
		`{"key":"Zm9v","value":"YmFy","lease":"0","prev_kv":true}`,
		`{"key":"AA==","range_end":"AA==","limit":"2","sort_order":"DESCEND","sort_target":2}`,
		`{"key":"Zm9v","rangeEnd":"/w","prevKv":true,"unknown":[{}]}`,
		`{"compare":[{"key":"Zm9v","target":"VERSION","result":"EQUAL","version":"1"}],` +
			`"success":[{"request_put":{"key":"Zm9v"}}],"failure":[{"requestRange":{"key":"eg"}}]}`,
		`{"revision":"2"}`,
		`{"TTL":60,"ID":9}`,
		`{"ID":"9"}`, `{"ID":9,"keys":true}`, `{}`, `{"ID":"9"}`,
		`{"create_request":{"key":"Zm9v","range_end":"/w==","start_revision":"1"}}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Add(uint8(10), []byte(`{"create_request":{"key":"AA=="}}{"cancel_request":{"watch_id":0}}`))
	for i := range fuzzPaths[11:] {
		f.Add(uint8(11+i), []byte(`{"name":"bG9jaw==","lease":7}`))
	}
	f.Fuzz(func(t *testing.T, path uint8, body []byte) {
		store := kvfake.New()
		handler := serveStore(t, store)
		if _, err := kv.Put(t.Context(), store, kv.PutRequest{Key: []byte("foo")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		target := fuzzPaths[int(path)%len(fuzzPaths)]
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if ctx.Err() != nil {
			return // who waits for others, or is slow, says what it likes
		}
		if bytes.Contains(w.Body.Bytes(), []byte("internal error")) {
			t.Fatalf("%s %s: %d %s", target, body, w.Code, w.Body)
		}
		if target == "/v3/kv/put" && w.Code == http.StatusOK {
			checkPut(t, store, body)
		}
		isJSON := w.Header().Get("Content-Type") == "application/json"
		for in := json.NewDecoder(w.Body); isJSON && in.More(); {
			var value any
			if err := in.Decode(&value); err != nil {
				t.Fatalf("%s %s: %v", target, body, err)
			}
		}
	})
}

func serveStore(t *testing.T, store *kvfake.Store) http.Handler {
	services := etcdapi.New(etcdapi.Options{Store: store, Maintainer: store}).
		NewServer(etcdapi.ServerOptions{})
	g, err := gateway.New(gateway.Options{
		Server: services, Store: store, Maintainer: store, Next: http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		services.Stop()
	})
	return g
}

func checkPut(t *testing.T, store kv.Store, body []byte) {
	var put pb.PutRequest
	message, err := firstMessage(body)
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(message, &put)
	}
	if err != nil {
		t.Fatalf("%s was put, protojson says %v", body, err)
	}
	resp, err := store.Range(t.Context(), kv.RangeRequest{Range: kv.PointRange(put.Key)})
	if err != nil || len(resp.KVs) != 1 ||
		!put.IgnoreValue && !bytes.Equal(resp.KVs[0].Value, put.Value) {
		t.Fatalf("%s was put, and %q is %+v, %v", body, put.Key, resp, err)
	}
}

// firstMessage is the first value of JSON in a body.
func firstMessage(body []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	in := json.NewDecoder(bytes.NewReader(body))
	if err := in.Decode(&raw); err != nil {
		return nil, err
	}
	return raw, nil
}
