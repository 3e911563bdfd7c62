package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/tmc/grpc-websocket-proxy/wsproxy"
	"go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	electiongw "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb/gw"
	lockgw "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb/gw"
	"google.golang.org/grpc"
)

// newServices are the routes below /v3/ over conn, as requests with JSON or as
// websockets, of which each message is a line of a request or an answer.
func newServices(conn *grpc.ClientConn, opts *Options) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newJSON(messageBytesMax(opts))))
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		gw.RegisterKVHandler, gw.RegisterWatchHandler, gw.RegisterLeaseHandler,
		gw.RegisterClusterHandler, gw.RegisterMaintenanceHandler, gw.RegisterAuthHandler,
		lockgw.RegisterLockHandler, electiongw.RegisterElectionHandler,
	} {
		if err := register(context.Background(), mux, conn); err != nil {
			return nil, err
		}
	}
	return wsproxy.WebsocketProxy(mux,
		// What opens a websocket is a GET, and all services are called by POST.
		wsproxy.WithRequestMutator(func(_, outgoing *http.Request) *http.Request {
			outgoing.Method = http.MethodPost
			return outgoing
		}),
		wsproxy.WithMaxRespBodyBufferSize(math.MaxInt32),
		wsproxy.WithLogger(proxyLog{opts.Logger}),
	), nil
}

// messageBytesMax is the most JSON that a message of a request may be: bytes
// are a third longer in base64.
func messageBytesMax(opts *Options) int {
	return 2*opts.Limits.RequestBytesMax + messageBytesSpare
}

// proxyLog is a log as websockets want it.
type proxyLog struct{ log *slog.Logger }

// Warnln implements wsproxy.Logger. Clients that leave are nothing to warn of.
func (l proxyLog) Warnln(what ...any) { l.Debugln(what...) }

// Debugln implements wsproxy.Logger.
func (l proxyLog) Debugln(what ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("websocket", "what", fmt.Sprint(what...))
	}
}
