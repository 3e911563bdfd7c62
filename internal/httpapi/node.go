package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/miruvor/miruvor/internal/kvjson"
)

// The routes that tell of the node and not of keys.

// status is GET /v1/status.
func (a *api) status(w http.ResponseWriter, r *http.Request) error {
	status, err := a.store.Status(r.Context())
	if err != nil {
		return err
	}
	a.reached(w, status.Revision)
	return answerJSON(w, r, kvjson.NewStatus(status))
}

func answerJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	answer(w, r, http.StatusOK, kvjson.JSONType, append(body, '\n'))
	return nil
}

// metricsHandler is GET /metrics.
func (a *api) metricsHandler(registry *prometheus.Registry) handler {
	expose := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		setRevision(w.Header(), a.lastSeen(r))
		expose.ServeHTTP(w, r)
		return nil
	}
}

// pprofRoute begins the paths of profiles.
const pprofRoute = "/debug/pprof/"

// profile is GET /debug/pprof/….
func (a *api) profile(w http.ResponseWriter, r *http.Request) error {
	setRevision(w.Header(), a.lastSeen(r))
	serve, ok := map[string]http.HandlerFunc{
		"cmdline": pprof.Cmdline,
		"profile": pprof.Profile,
		"symbol":  pprof.Symbol,
		"trace":   pprof.Trace,
	}[strings.TrimPrefix(r.URL.Path, pprofRoute)]
	if !ok {
		serve = pprof.Index
	}
	serve(w, r)
	return nil
}
