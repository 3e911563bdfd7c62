package etcdapi

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metrics are the services' own.
type metrics struct {
	// seconds counts requests by how long they took, streams those that are
	// under way, and ended those that are over.
	seconds *prometheus.HistogramVec
	streams *prometheus.GaugeVec
	ended   *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "miruvor_grpc_request_duration_seconds",
			Help: "Time from a request to its answer, in seconds, by method and status code. " +
				"Streams are not among them.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 17),
		}, []string{"method", "code"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "miruvor_grpc_streams",
			Help: "Streams over gRPC under way, by method.",
		}, []string{"method"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "miruvor_grpc_streams_ended_total",
			Help: "Streams over gRPC that ended, by method and status code.",
		}, []string{"method", "code"}),
	}
	registry.MustRegister(m.seconds, m.streams, m.ended)
	return m
}

// codesMax is above every code of gRPC's own.
const codesMax = int(codes.Unauthenticated) + 1

// tally counts the answers of one method.
type tally struct {
	seconds prometheus.ObserverVec
	// byCode holds the counters in use, so that none is looked up twice.
	byCode [codesMax]atomic.Pointer[prometheus.Observer]
}

func (m *metrics) method(name string) *tally {
	return &tally{seconds: m.seconds.MustCurryWith(prometheus.Labels{"method": name})}
}

// observe counts an answer.
func (t *tally) observe(err error, took time.Duration) {
	code := codes.OK
	if err != nil {
		code = codeOf(err)
	}
	known := t.byCode[code].Load()
	if known == nil {
		observer := t.seconds.WithLabelValues(code.String())
		known = &observer
		t.byCode[code].Store(known)
	}
	(*known).Observe(took.Seconds())
}

// codeOf is the code that gRPC sends for an error of a handler.
func codeOf(err error) codes.Code {
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	if code := s.Code(); int(code) < codesMax {
		return code
	}
	return codes.Unknown
}
