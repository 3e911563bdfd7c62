package etcdapi

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// guard is a server that wraps every handler of the services that are added to
// it: what it answers is counted, and if it panics the request fails and the
// server goes on. Wrapped once, a handler costs a request no interceptor.
type guard struct {
	*grpcserver.Server
	log     *slog.Logger
	metrics *metrics
	gate    *gate
}

// RegisterService implements grpc.ServiceRegistrar.
func (g guard) RegisterService(desc *grpc.ServiceDesc, impl any) {
	wrapped := *desc
	wrapped.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		name := desc.ServiceName + "/" + m.MethodName
		wrapped.Methods[i].Handler = g.unary(name, m.Handler)
	}
	wrapped.Streams = slices.Clone(desc.Streams)
	for i, s := range desc.Streams {
		name := desc.ServiceName + "/" + s.StreamName
		wrapped.Streams[i].Handler = g.stream(name, s.Handler)
	}
	g.Server.RegisterService(&wrapped, impl)
}

func (g guard) unary(name string, handle grpc.MethodHandler) grpc.MethodHandler {
	tally := g.metrics.method(name)
	return func(
		srv any, ctx context.Context, decode func(any) error, by grpc.UnaryServerInterceptor,
	) (answer any, err error) {
		began := time.Now()
		defer func() {
			if reason := recover(); reason != nil {
				answer, err = nil, g.panicked(name, reason)
			}
			tally.observe(err, time.Since(began))
		}()
		return handle(srv, ctx, decode, by)
	}
}

func (g guard) stream(name string, handle grpc.StreamHandler) grpc.StreamHandler {
	underWay := g.metrics.streams.WithLabelValues(name)
	return func(srv any, stream grpc.ServerStream) (err error) {
		underWay.Inc()
		defer func() {
			underWay.Dec()
			g.metrics.ended.WithLabelValues(name, codeOf(err).String()).Inc()
		}()
		ctx, leave := g.gate.enter(stream.Context())
		defer leave()
		// A handler that waits for its client can't be woken before the stream
		// is over. So it outlives this function, until gRPC has told it so.
		ended := make(chan error, 1)
		go func() {
			defer func() {
				if reason := recover(); reason != nil {
					ended <- g.panicked(name, reason)
				}
			}()
			ended <- handle(srv, &endedStream{stream, ctx})
		}()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// endedStream is a stream with a context that can end before it.
type endedStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *endedStream) Context() context.Context { return s.ctx }

func (g guard) panicked(name string, reason any) error {
	g.log.Error("a handler panicked", "method", name, "reason", reason,
		"stack", string(debug.Stack()))
	return status.Error(codes.Internal, "etcdserver: internal error")
}
