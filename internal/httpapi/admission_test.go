package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
)

// stuck is a store that has no leader: writes wait for ever.
type stuck struct{ answering }

func (s stuck) Txn(ctx context.Context, _ kv.TxnRequest) (kv.TxnResponse, error) {
	<-ctx.Done()
	return kv.TxnResponse{}, kv.ErrTimeout
}

func (s stuck) LeaseKeepAlive(context.Context, kv.LeaseID) (kv.Lease, error) {
	return kv.Lease{ID: 1, TTL: 5, Granted: 5}, nil
}

// unreadBody fails the test if it is read.
type unreadBody struct{ t *testing.T }

func (b unreadBody) Read([]byte) (int, error) {
	b.t.Error("the body of a request that is refused is read")
	return 0, nil
}

// TestTooManyRequests: once as many wait as there is room for, the next is refused at
// its header, and what it does not wait for goes on.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := httpapi.New(stuck{}, httpapi.Options{})
		ask := func(method, path string, body int64) *http.Response {
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			if body > 0 {
				r = httptest.NewRequestWithContext(t.Context(), method, path, unreadBody{t})
				r.ContentLength = body
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w.Result()
		}
		var waiting sync.WaitGroup
		for range admission.Calls.Idle {
			waiting.Go(func() {
				if got := ask("PUT", "/v1/kv/a", 0).StatusCode; got != http.StatusGatewayTimeout {
					t.Errorf("a request that was let in ended with %d", got)
				}
			})
		}
		synctest.Wait()
		for _, test := range []struct {
			method, path string
			body         int64
			code         int
		}{
			{"PUT", "/v1/kv/a", 100, 429},
			{"POST", "/v1/txn", 100, 429},
			{"DELETE", "/v1/kv?prefix=a", 0, 429},
			{"POST", "/v1/leases", 100, 429},
			{"POST", "/write/a/b", 0, 429},
			{"GET", "/v1/kv/a", 0, 200},
			{"GET", "/v1/kv?prefix=a", 0, 200},
			{"GET", "/v1/status", 0, 200},
			{"POST", "/v1/leases/1/keepalive", 0, 200},
		} {
			got := ask(test.method, test.path, test.body)
			if got.StatusCode != test.code {
				t.Errorf("%s %s: %s", test.method, test.path, got.Status)
			}
			if test.code == 429 && got.Header.Get("Retry-After") != "1" {
				t.Errorf("%s %s: headers %v", test.method, test.path, got.Header)
			}
		}
		waiting.Wait()
		ended := ask("PUT", "/v1/kv/a", 0) // there is room again
		if ended.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("after all ended: %s", ended.Status)
		}
	})
}

// TestLargeBodies: what requests carry takes the place of others; what does not say how
// much that is, as much as it may be.
func TestLargeBodies(t *testing.T) {
	const size = 1 << 20
	value := strings.Repeat("v", size)
	for _, said := range []bool{true, false} {
		counted := int64(size)
		if !said {
			counted = int64(kv.DefaultLimits.RequestBytesMax)
		}
		synctest.Test(t, func(t *testing.T) {
			api := httpapi.New(stuck{}, httpapi.Options{})
			codes := make(chan int, 100)
			var asking sync.WaitGroup
			for range cap(codes) {
				asking.Go(func() {
					r := httptest.NewRequestWithContext(t.Context(), "PUT", "/v1/kv/a",
						strings.NewReader(value))
					if !said {
						r.ContentLength = -1
					}
					w := httptest.NewRecorder()
					api.ServeHTTP(w, r)
					codes <- w.Code
				})
			}
			asking.Wait()
			refused := 0
			for range cap(codes) {
				if <-codes == http.StatusTooManyRequests {
					refused++
				}
			}
			most := int(admission.WriteLoads.Idle/counted) + 1
			if let := cap(codes) - refused; let < most-1 || let > most {
				t.Errorf("%d of 1 MiB each were let in, want %d", let, most)
			}
		})
	}
}
