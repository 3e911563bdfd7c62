package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// codec is the server's: that of protobuf, with ways of their own for the few
// messages that nearly all requests and answers are.
type codec struct{ grpcserver.ProtoCodec }

// reply is an answer that encodes itself.
type reply interface {
	// append appends the answer as etcd's message of it would be encoded.
	append(b []byte) []byte
}

// Append implements grpcserver.Codec.
func (c codec) Append(b []byte, message any) ([]byte, error) {
	if m, ok := message.(reply); ok {
		return m.append(b), nil
	}
	return c.ProtoCodec.Append(b, message)
}

// Unmarshal implements grpcserver.Codec. What the short ways don't know is left to
// protobuf's, which begins anew.
func (c codec) Unmarshal(data []byte, message any) error {
	known := false
	switch m := message.(type) {
	case *pb.RangeRequest:
		known = decodeRange(own(data), m)
	case *pb.PutRequest:
		known = decodePut(own(data), m)
	case *pb.TxnRequest:
		known = decodeTxn(own(data), m)
	}
	if known {
		return nil
	}
	return c.ProtoCodec.Unmarshal(data, message)
}

// own is a copy of a message, with room for one byte more: the key of a range
// that comes last in it has its successor at once (keyRange).
func own(data []byte) []byte {
	return append(make([]byte, 0, len(data)+1), data...)
}
