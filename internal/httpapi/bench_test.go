package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// sink is a response nobody looks at.
type sink struct {
	header http.Header
	code   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(code int)        { s.code = code }

// BenchmarkHandler is what the API itself costs, over a store that is free.
func BenchmarkHandler(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 100)
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		b.Run(method, func(b *testing.B) {
			store := answering{value: value}
			handler := httpapi.New(store, httpapi.Options{})
			body := bytes.NewReader(value)
			req := httptest.NewRequest(method, "/v1/kv/some/key", body)
			out := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(value)
				clear(out.header)
				handler.ServeHTTP(out, req)
			}
			if out.code/100 != 2 {
				b.Fatalf("status %d", out.code)
			}
		})
	}
}

// BenchmarkLoopback is a request over a real connection, client included.
func BenchmarkLoopback(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 100)
	client := serve(b, answering{value: value})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req := kv.RangeRequest{Range: kv.PointRange([]byte("some/key"))}
				if _, err := client.Range(b.Context(), req); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				put := kv.PutRequest{Key: []byte("some/key"), Value: value}
				if _, err := kv.Put(b.Context(), client, put); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkStream is a scan of 1000 keys as NDJSON.
func BenchmarkStream(b *testing.B) {
	const keys = 1000
	store := kvfake.New()
	for i := range keys {
		put := kv.PutRequest{Key: fmt.Appendf(nil, "key/%06d", i), Value: make([]byte, 100)}
		if _, err := kv.Put(b.Context(), store, put); err != nil {
			b.Fatal(err)
		}
	}
	handler := httpapi.New(store, httpapi.Options{})
	req := httptest.NewRequest(http.MethodGet, "/v1/kv", nil)
	req.Header.Set("Accept", "application/x-ndjson")
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(&sink{header: http.Header{}}, req)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}

// BenchmarkWatch is what telling an event costs, over a stream that is free.
func BenchmarkWatch(b *testing.B) {
	const events = 1000
	store := answering{value: make([]byte, 100)}
	handler := httpapi.New(telling{store, events}, httpapi.Options{})
	req := httptest.NewRequest(http.MethodGet, "/v1/watch?revision=1", nil)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(&flushed{sink{header: http.Header{}}}, req)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

// flushed is a sink for streams.
type flushed struct{ sink }

func (*flushed) Flush() {}
