package etcdapi

import (
	"google.golang.org/grpc/mem"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// frame is a message of a watch that is encoded already: what stands before
// the events, and the events. It is one piece of memory, but for the events,
// and not changed any more.
type frame struct {
	parts [2]mem.Buffer
	head  mem.SliceBuffer
	bytes [headBytesMax]byte
}

// frameCodec is gRPC's codec of protobuf, that sends frames besides.
type frameCodec struct{ grpcserver.ProtoCodec }

// Append implements grpcserver.Codec.
func (c frameCodec) Append(b []byte, message any) ([]byte, error) {
	f, ok := message.(*frame)
	if !ok {
		return c.ProtoCodec.Append(b, message)
	}
	for _, part := range f.parts {
		b = append(b, part.ReadOnlyData()...)
	}
	return b, nil
}
