package etcdapi

import (
	"context"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// Stop ends a server that NewServer made. It takes no more connections, ends
// all streams as Drain does, and waits for the requests under way until ctx
// ends; then it cuts them off. No handler runs any more once it returned.
func (a *API) Stop(ctx context.Context, server *grpcserver.Server) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop()
	}()
	a.Drain()
	select {
	case <-stopped:
	case <-ctx.Done():
		server.Stop()
		<-stopped
	}
}
