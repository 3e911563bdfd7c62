package grpcserver

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// serverStream is a stream as its handler sees it.
type serverStream struct{ *stream }

var _ grpc.ServerStream = serverStream{}

// serveStream runs the handler of a stream.
func (st *stream) serveStream() {
	m := st.method
	st.finish(statusOf(m.stream.Handler(m.impl, serverStream{st})))
}

var errHeaderSent = errors.New("grpcserver: the header was sent already")

// SetHeader implements grpc.ServerStream.
func (s serverStream) SetHeader(md metadata.MD) error {
	if s.wasHeaded() {
		return errHeaderSent
	}
	s.header = metadata.Join(s.header, md)
	return nil
}

// SendHeader implements grpc.ServerStream.
func (s serverStream) SendHeader(md metadata.MD) error {
	if err := s.SetHeader(md); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	c.headLocked(s.stream)
	c.flushSoonLocked()
	return nil
}

func (s serverStream) wasHeaded() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.headed
}

// SetTrailer implements grpc.ServerStream.
func (s serverStream) SetTrailer(md metadata.MD) {
	s.trailer = metadata.Join(s.trailer, md)
}

// Context implements grpc.ServerStream.
func (s serverStream) Context() context.Context { return s.stream }

// Batch is messages for SendMsg to send one after the other, which costs less than
// a call for each: they are written to the socket together.
type Batch []any

// SendMsg implements grpc.ServerStream. The message may be a *Batch.
func (s serverStream) SendMsg(message any) error {
	out := newBuffer()
	defer out.release()
	if err := s.encode(out, message); err != nil {
		return err
	}
	c := s.conn
	c.mu.Lock()
	c.headLocked(s.stream)
	err := c.sendLocked(s.stream, out.bytes)
	c.flushSoonLocked()
	if err != nil {
		return status.FromContextError(err).Err()
	}
	return nil
}

// RecvMsg implements grpc.ServerStream.
func (s serverStream) RecvMsg(message any) error {
	next, err := s.next()
	if err != nil {
		return err
	}
	defer next.release()
	data, err := s.plain(next)
	if err != nil {
		return err
	}
	if err := s.conn.server.opts.Codec.Unmarshal(data, message); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v",
			err)
	}
	return nil
}
