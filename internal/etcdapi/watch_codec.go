package etcdapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is a message that is encoded already, in one or two parts, which are
// not changed any more.
type frame struct {
	head, tail []byte
}

// frameCodec is gRPC's codec of protobuf, that sends frames besides.
type frameCodec struct{ encoding.CodecV2 }

func newFrameCodec() encoding.CodecV2 { return frameCodec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c frameCodec) Marshal(message any) (mem.BufferSlice, error) {
	f, ok := message.(*frame)
	switch {
	case !ok:
		return c.CodecV2.Marshal(message)
	case f.tail == nil:
		return mem.BufferSlice{mem.SliceBuffer(f.head)}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(f.head), mem.SliceBuffer(f.tail)}, nil
}
