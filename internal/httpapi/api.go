// Package httpapi is Miruvor over HTTP: routes, headers and status codes on
// top of a kv.Store.
//
// It owns no data and no JSON form (see kvjson); it turns a request into one
// call of the store and the answer into one response:
//
//		request → router → route's handler → kv.Store
//		                        ↓ error
//		                     problem document
//
//	 1. A key is never rewritten or redirected: it is what follows the route's
//	    prefix in the escaped path, percent-decoded once. That is why there is
//	    a router of our own: http.ServeMux cleans paths.
//	 2. A request has no effect unless it is understood whole: an unknown query
//	    parameter or field is refused with a problem that names it.
//	 3. Every answer carries Miruvor-Revision. An error carries the highest
//	    revision that this API has answered with, if the store told none.
//	 4. Memory is bounded: bodies by Limits, JSON answers by a page, and NDJSON
//	    streams by a page as well, whatever their length.
//
// docs/http-api.md describes the API for users, openapi.json for programs.
package httpapi

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/kv"
)

// requestTimeoutDefault bounds a call of the store.
const requestTimeoutDefault = 5 * time.Second

// Options configure New. The zero Options are usable.
type Options struct {
	// Logger gets what went wrong on the server's side. Nil discards it.
	Logger *slog.Logger
	// Registry is what /metrics shows; request histograms are registered
	// there. Nil makes a new one.
	Registry *prometheus.Registry
	// RequestTimeout bounds every call of the store, a page of a stream
	// each; 0 is 5 s.
	RequestTimeout time.Duration
	// Limits bound keys and bodies before the store sees them; zero is
	// kv.DefaultLimits. They should be the store's.
	Limits kv.Limits
	// Pprof adds /debug/pprof.
	Pprof bool
}

// api is the handler that New returns.
type api struct {
	store   kv.Store
	log     *slog.Logger
	limits  kv.Limits
	router  *router
	metrics *metrics
	// seen is the highest revision that was answered with.
	seen atomic.Int64
}

// New is the API over store. It is safe for concurrent use, and must be
// served as it is: what cleans or decodes paths before it changes keys.
func New(store kv.Store, opts Options) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	if opts.RequestTimeout == 0 {
		opts.RequestTimeout = requestTimeoutDefault
	}
	if opts.Limits == (kv.Limits{}) {
		opts.Limits = kv.DefaultLimits
	}
	a := &api{
		store:   &timedStore{store, opts.RequestTimeout},
		log:     opts.Logger,
		limits:  opts.Limits,
		metrics: newMetrics(opts.Registry),
	}
	a.router = newRouter(a.routes(opts))
	return a
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	rec := &recorder{ResponseWriter: w}
	route, handle := a.router.find(r)
	defer func() {
		if reason := recover(); reason != nil {
			a.recovered(rec, r, reason)
		}
		a.metrics.observe(route, r.Method, rec.code, time.Since(begin))
	}()
	if err := handle(rec, r); err != nil {
		a.fail(rec, r, err)
	}
}

// recorder remembers the status code of a response.
type recorder struct {
	http.ResponseWriter
	// code is 0 until the header is written.
	code int
}

// WriteHeader implements http.ResponseWriter.
func (rec *recorder) WriteHeader(code int) {
	if rec.code == 0 {
		rec.code = code
	}
	rec.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (rec *recorder) Write(b []byte) (int, error) {
	if rec.code == 0 {
		rec.code = http.StatusOK
	}
	return rec.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
