package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// fuzzMethods are the methods that a fuzzer chooses from.
var fuzzMethods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"}

// FuzzRequest sends one request to a small store. Whatever it is, it is answered as
// openapi.json says, never by a failure of the server's own; what is refused or only
// reads changes nothing, and a key that is put is the path's, byte for byte.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct {
		method               uint8
		target, header, body string
	}{
		{0, "/v1/kv?prefix=fruit%2F&limit=1&keys_only=1", "", ""},
		{0, "/v1/kv?start=a&end=z&reverse&count&bytes_max=9&revision=3", "", ""},
		{0, "/v1/kv?prefix=", "Accept: application/x-ndjson", ""},
		{0, "/v1/kv?cursor=AQUDAQphAGZydWl0MA", "", ""},
		{0, "/v1/kv/fruit%2Fpear?consistency=serializable", `If-None-Match: W/"4", "3"`, ""},
		{2, "/v1/kv/a//b/../c%00?prev", "If-Match: *", "v"},
		{2, "/v1/kv/fruit%2Fpear?lease=7&prev=0", `If-Match: "3"`, "sweet"},
		{4, "/v1/kv/fruit%2Fpear?prev=1", "If-None-Match: 9", ""},
		{4, "/v1/kv?prefix=fruit", "", ""},
		{3, "/v1/txn", "", `{"compare":[{"key":"a","target":"version","op":"=","value":0}],` +
			`"then":[{"put":{"key":"a","value":"v","lease":7}}],"else":[{"get":{"prefix":""}}]}`},
		{0, "/v1/watch?prefix=fruit&revision=2&prev=1&filter=noput", "Last-Event-ID: 2", ""},
		{0, "/v1/watch?start=f", "Accept: application/x-ndjson", ""},
		{3, "/v1/watch/ABC/progress", "", ""},
		{3, "/v1/leases", "", `{"ttl":60,"id":9}`},
		{3, "/v1/leases/7/keepalive", "", "{}"},
		{0, "/v1/leases/7?keys=true", "", ""},
		{4, "/v1/leases/7", "", ""},
		{3, "/v1/compact", "", `{"revision":3}`},
		{4, "/v1/alarms?node=1&alarm=nospace", "", ""},
		{3, "/write/k/%22v%23%7b%0a", "", ""},
		{0, "/read/fruit%2Fpear", "", ""},
		{5, "/metrics", "", ""},
	} {
		f.Add(seed.method, seed.target, seed.header, []byte(seed.body))
	}
	doc := loadDescription(f)
	f.Fuzz(func(t *testing.T, method uint8, target, header string, body []byte) {
		req := fuzzedRequest(t, fuzzMethods[int(method)%len(fuzzMethods)], target, header, body)
		store, logged := fuzzStore(t), &bytes.Buffer{}
		handler := httpapi.New(store, httpapi.Options{
			Maintainer: store, Logger: slog.New(slog.NewTextHandler(logged, nil)),
		})
		w := newLeavingRecorder(req)
		handler.ServeHTTP(w, w.req)
		resp := w.Result()
		answered, _ := io.ReadAll(resp.Body)
		if resp.StatusCode >= 500 {
			t.Fatalf("%s %s: %s\n%s%s", req.Method, target, resp.Status, answered, logged)
		}
		doc.check(t, req.Method, httpapi.PatternOf(req), resp, answered)
		checkEffect(t, store, req, resp.StatusCode, body)
	})
}

// fuzzedRequest is a request as a server would hand it on, if it would.
func fuzzedRequest(t *testing.T, method, target, header string, body []byte) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || !strings.HasPrefix(target, "/") {
		t.Skip("net/http does not hand this on")
	}
	req := httptest.NewRequest(method, "/", bytes.NewReader(body))
	req.URL, req.RequestURI = u, target
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		req.Header.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	}
	if len(body) > 0 && body[0] == '~' { // as if in chunks
		req.ContentLength = -1
	}
	return req
}

// fuzzStore has a few keys, a lease, an alarm, and a past that is compacted.
func fuzzStore(t *testing.T) *kvfake.Store {
	stopped := func() time.Time { return time.Unix(0, 0) }
	store := kvfake.New(kvfake.WithClock(stopped))
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := store.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 7, TTL: 60})
	must(err)
	for _, pair := range [][2]string{{"fruit/pear", "green"}, {"\x00\xff", ""}, {"z", "<&>"}} {
		_, err := kv.Put(t.Context(), store, kv.PutRequest{
			Key: []byte(pair[0]), Value: []byte(pair[1]), Lease: 7,
		})
		must(err)
	}
	_, err = kv.Delete(t.Context(), store, kv.DeleteRequest{Range: kv.PointRange([]byte("z"))})
	must(err)
	_, err = store.Compact(t.Context(), 3)
	must(err)
	_, err = store.RaiseAlarm(t.Context(), kv.Alarm{Node: 1, Kind: kv.AlarmCorrupt})
	must(err)
	return store
}

// fuzzRevision is that of a fuzzStore.
const fuzzRevision kv.Revision = 5

// checkEffect holds what a request did against its answer.
func checkEffect(t *testing.T, store *kvfake.Store, req *http.Request, code int, body []byte) {
	status, err := store.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	if (reads || code >= 400) && status.Revision != fuzzRevision {
		t.Fatalf("%s %s is answered by %d, and at revision %v now",
			req.Method, req.RequestURI, code, status.Revision)
	}
	path, _, _ := strings.Cut(req.RequestURI, "?")
	escaped, put := strings.CutPrefix(path, "/v1/kv/")
	if !put || req.Method != http.MethodPut || code >= 400 {
		return
	}
	key, err := url.PathUnescape(escaped)
	if err != nil {
		t.Fatalf("%q was put: %v", escaped, err)
	}
	resp, err := store.Range(t.Context(), kv.RangeRequest{Range: kv.PointRange([]byte(key))})
	if err != nil || len(resp.KVs) != 1 || !bytes.Equal(resp.KVs[0].Value, body) ||
		resp.KVs[0].ModRevision != fuzzRevision+1 {
		t.Fatalf("after the put of %q: %+v, %v", key, resp, err)
	}
}

// leavingRecorder is the answer to a client that leaves a watch at its first message.
type leavingRecorder struct {
	*httptest.ResponseRecorder
	req   *http.Request
	leave context.CancelFunc
}

func newLeavingRecorder(req *http.Request) *leavingRecorder {
	ctx, leave := context.WithCancel(req.Context())
	return &leavingRecorder{httptest.NewRecorder(), req.WithContext(ctx), leave}
}

// Flush implements http.Flusher.
func (w *leavingRecorder) Flush() {
	if w.Header().Get(kvjson.Watch) != "" {
		w.leave()
	}
}
