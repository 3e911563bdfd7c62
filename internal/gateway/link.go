package gateway

import (
	"context"
	"errors"
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// linkBytes is what is on its way inside the process in each direction.
const linkBytes = 256 << 10

// link is a connection to a server inside the process.
type link struct {
	conn     *grpc.ClientConn
	listener *bufconn.Listener
	// served has why the server ended the listener.
	served chan error
}

func newLink(server *grpcserver.Server) (*link, error) {
	l := &link{listener: bufconn.Listen(linkBytes), served: make(chan error, 1)}
	conn, err := grpc.NewClient("passthrough:///miruvor",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return l.listener.DialContext(ctx)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// The services bound what they take and give.
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	)
	if err != nil {
		return nil, errors.Join(err, l.listener.Close())
	}
	l.conn = conn
	go func() { l.served <- server.Serve(l.listener) }()
	return l, nil
}

// close ends the connection and waits until the server has let go of it.
func (l *link) close() error {
	err := errors.Join(l.conn.Close(), l.listener.Close())
	// Why the server let go of it is of no interest: it was made to.
	<-l.served
	return err
}
