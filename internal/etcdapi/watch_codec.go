package etcdapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
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
type frameCodec struct{ encoding.CodecV2 }

func newFrameCodec() encoding.CodecV2 { return frameCodec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c frameCodec) Marshal(message any) (mem.BufferSlice, error) {
	if f, ok := message.(*frame); ok {
		return f.parts[:], nil
	}
	return c.CodecV2.Marshal(message)
}
