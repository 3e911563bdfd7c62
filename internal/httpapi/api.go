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
//	 4. Memory is bounded: requests under way by rooms, bodies by Limits, JSON
//	    answers by a page, NDJSON streams by a page as well, whatever their
//	    length, and a watch by a revision. What a client may take for each is bounded, too.
//
// docs/http-api.md describes the API for users, openapi.json for programs.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/kv"
)

const (
	// requestTimeoutDefault bounds a call of the store.
	requestTimeoutDefault = 5 * time.Second
	watchHeartbeatDefault = 15 * time.Second
)

// Options configure New. The zero Options are usable.
type Options struct {
	// Logger gets what went wrong on the server's side. Nil discards it.
	Logger *slog.Logger
	// Registry is what /metrics shows; request histograms are registered
	// there. Nil makes a new one.
	Registry *prometheus.Registry
	// RequestTimeout bounds every call of the store, a page of a stream
	// each, but not a watch; 0 is 5 s.
	RequestTimeout time.Duration
	// Maintainer has the alarms. Nil has none, and they have no route then.
	Maintainer kv.Maintainer
	// Limits bound keys and bodies before the store sees them; zero is
	// kv.DefaultLimits. They should be the store's.
	Limits kv.Limits
	// WatchHeartbeat is how long a watch is silent before a sign of life; 0 is
	// 15 s.
	WatchHeartbeat time.Duration
	// Pprof adds /debug/pprof.
	Pprof bool
}

// api is the handler that New returns.
type api struct {
	store kv.Store
	log   *slog.Logger
	// maintainer is nil if there are no routes for it.
	maintainer kv.Maintainer

	limits  kv.Limits
	rooms   rooms
	router  *router
	metrics *metrics
	// seen is the highest revision that was answered with.
	seen atomic.Int64
	// timeout bounds a call of the store, heartbeat a watch's silence.
	timeout, heartbeat time.Duration
	// streams are the watches under way, a kv.WatchStream by its name.
	streams sync.Map
	// draining ends when the server shuts down; drain makes it.
	draining context.Context
	drain    context.CancelFunc
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
	if opts.WatchHeartbeat == 0 {
		opts.WatchHeartbeat = watchHeartbeatDefault
	}
	if opts.Limits == (kv.Limits{}) {
		opts.Limits = kv.DefaultLimits
	}
	a := &api{
		store: &timedStore{store, opts.RequestTimeout},
		log:   opts.Logger,

		maintainer: opts.Maintainer,

		limits:  opts.Limits,
		rooms:   newRooms(opts.RequestTimeout),
		metrics: newMetrics(opts.Registry),

		timeout:   opts.RequestTimeout,
		heartbeat: opts.WatchHeartbeat,
	}
	opts.Registry.MustRegister(admission.NewCollector("http", a.rooms.reads, a.rooms.writes))
	a.draining, a.drain = context.WithCancel(context.Background())
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
		a.metrics.observe(route, r.Method, rec.code, rec.took(route, begin))
	}()
	if err := handle(rec, r); err != nil {
		a.fail(rec, r, err)
	}
}

// recorder remembers the status code of a response.
type recorder struct {
	http.ResponseWriter
	// code is 0 until the header is written, at that time.
	code   int
	headed time.Time
}

// took is the time from begin to the end of the answer; to its header, if the
// rest takes as long as the client likes.
func (rec *recorder) took(route string, begin time.Time) time.Duration {
	if route == watchRoute {
		return rec.headed.Sub(begin)
	}
	return time.Since(begin)
}

// WriteHeader implements http.ResponseWriter.
func (rec *recorder) WriteHeader(code int) {
	if rec.code == 0 {
		rec.code, rec.headed = code, time.Now()
	}
	rec.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (rec *recorder) Write(b []byte) (int, error) {
	if rec.code == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	return rec.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
