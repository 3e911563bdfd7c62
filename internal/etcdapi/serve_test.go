package etcdapi_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/grpcserver"
)

// serve starts a server of the services and returns a connection to it.
func serve(t testing.TB, opts etcdapi.Options) *grpc.ClientConn {
	t.Helper()
	return connect(t, etcdapi.New(opts).NewServer(etcdapi.ServerOptions{}))
}

// connect serves on a pipe and returns a connection to it.
func connect(t testing.TB, server *grpcserver.Server) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///pipe",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn
}
