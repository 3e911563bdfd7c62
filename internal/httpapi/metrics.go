package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the API's own.
type metrics struct {
	// seconds counts requests by how long they took.
	seconds *prometheus.HistogramVec
	// watches are those under way, watchEvents what all of them ever told.
	watches     prometheus.Gauge
	watchEvents prometheus.Counter
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "miruvor_http_request_duration_seconds",
			Help: "Time from a request's header to the end of its answer, of a watch to the " +
				"answer's header, in seconds, by route, method and status code.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 17),
		}, []string{"route", "method", "code"}),
		watches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "miruvor_http_watches",
			Help: "Watches over HTTP under way.",
		}),
		watchEvents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "miruvor_http_watch_events_total",
			Help: "Changes of keys that watches over HTTP were told.",
		}),
	}
	registry.MustRegister(m.seconds, m.watches, m.watchEvents)
	return m
}

// observe counts a request. pattern is its route, "" for none: paths and
// unknown methods are the client's to choose, so they make no labels.
func (m *metrics) observe(pattern, method string, code int, took time.Duration) {
	if pattern == "" {
		pattern = "none"
	}
	switch method {
	case "GET", "HEAD", "PUT", "POST", "DELETE":
	default:
		method = "other"
	}
	m.seconds.WithLabelValues(pattern, method, codeText(code)).Observe(took.Seconds())
}

// codeText is strconv.Itoa without an allocation for the most usual codes.
func codeText(code int) string {
	switch code {
	case 200:
		return "200"
	case 201:
		return "201"
	case 204:
		return "204"
	case 404:
		return "404"
	case 412:
		return "412"
	}
	return strconv.Itoa(code)
}
