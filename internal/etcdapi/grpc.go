package etcdapi

import (
	"time"

	"google.golang.org/grpc/reflection"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// ServerOptions configure NewServer. What is zero is etcd's default.
type ServerOptions struct {
	// StreamsMax is how many requests and streams one connection may have under
	// way; 0 is as many as HTTP/2 can number.
	StreamsMax uint32
	// KeepaliveMinTime is how often a client may ping at most; one that does
	// so more often is disconnected.
	KeepaliveMinTime time.Duration
	// KeepaliveInterval is after how long without a word a client is pinged,
	// and KeepaliveTimeout how long it has to answer.
	KeepaliveInterval, KeepaliveTimeout time.Duration
}

const (
	// messageOverheadBytes is how much longer than the largest request a
	// message may be, for what is not keys and values.
	messageOverheadBytes = 512 << 10
)

// NewServer is a server with all services. The caller serves and stops it.
func (a *API) NewServer(opts ServerOptions) *grpcserver.Server {
	gate := newGate(a.maint, a.rooms, a.draining, a.election)
	server := grpcserver.New(grpcserver.Options{
		Codec:           codec{},
		MessageBytesMax: a.limits.RequestBytesMax + messageOverheadBytes,
		StreamsMax:      opts.StreamsMax,
		Keepalive: grpcserver.Keepalive{
			MinTime: opts.KeepaliveMinTime, Interval: opts.KeepaliveInterval,
			Timeout: opts.KeepaliveTimeout,
		},
		Gate: gate,
	})
	guarded := guard{Server: server, log: a.log, metrics: a.metrics, gate: gate}
	a.Register(guarded)
	reflection.Register(guarded)
	return server
}
