package etcdapi

import "github.com/miruvor/miruvor/internal/grpcserver"

// frameCodec is gRPC's codec of protobuf, that sends events besides.
type frameCodec struct{ grpcserver.ProtoCodec }

// Append implements grpcserver.Codec.
func (c frameCodec) Append(b []byte, message any) ([]byte, error) {
	if m, ok := message.(*eventsMessage); ok {
		return m.append(b), nil
	}
	return c.ProtoCodec.Append(b, message)
}
