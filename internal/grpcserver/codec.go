package grpcserver

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Codec turns messages into bytes and back. It is used by many goroutines.
type Codec interface {
	// Append appends the encoding of a message to b.
	Append(b []byte, message any) ([]byte, error)
	// Unmarshal decodes data, which it must not keep, into a message.
	Unmarshal(data []byte, message any) error
}

// ProtoCodec is that of protobuf, for generated messages.
type ProtoCodec struct{}

// Append implements Codec.
func (ProtoCodec) Append(b []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return proto.MarshalOptions{}.MarshalAppend(b, m)
}

// Unmarshal implements Codec.
func (ProtoCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	return proto.Unmarshal(data, m)
}
