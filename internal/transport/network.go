package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// network is where connections come from.
type network interface {
	listen(address string) (net.Listener, error)
	dial(ctx context.Context, address string) (net.Conn, error)
}

// tcp is the real network. Go sets TCP_NODELAY on every connection.
type tcp struct{}

func (tcp) listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("peer address %s is taken by another process; "+
			"this is where other nodes reach this one (--peer): %w", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("peer address %s, where other nodes reach this one (--peer), "+
			"can't be used: %w", address, err)
	}
	return l, nil
}

func (tcp) dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}
