package grpcserver_test

import (
	"bytes"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// The messages of a batch arrive one by one, whatever their sizes.
func TestBatch(t *testing.T) {
	var batch grpcserver.Batch
	for _, size := range []int{0, 1, 300, 16 << 10, 70 << 10, 2} {
		batch = append(batch, wrapperspb.Bytes(bytes.Repeat([]byte{byte(size)}, size)))
	}
	_, cc := start(t, &echo{bidi: func(stream grpc.ServerStream) error {
		for range 3 {
			if err := stream.SendMsg(&batch); err != nil {
				return err
			}
		}
		return stream.SendMsg(&grpcserver.Batch{})
	}}, grpcserver.Options{})
	stream := chat(t, t.Context(), cc)
	for range 3 {
		for _, m := range batch {
			got := new(wrapperspb.BytesValue)
			if err := stream.RecvMsg(got); err != nil {
				t.Fatal(err)
			}
			if want := m.(*wrapperspb.BytesValue); !bytes.Equal(got.Value, want.Value) {
				t.Errorf("%d bytes arrive as %d", len(want.Value), len(got.Value))
			}
		}
	}
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err == nil {
		t.Error("there is more than was sent")
	}
}

// A message of a batch that can't be encoded fails the batch.
func TestBatchRefused(t *testing.T) {
	sent := make(chan error, 1)
	_, cc := start(t, &echo{bidi: func(stream grpc.ServerStream) error {
		sent <- stream.SendMsg(&grpcserver.Batch{"no message"})
		return nil
	}}, grpcserver.Options{})
	stream := chat(t, t.Context(), cc)
	if err := <-sent; err == nil {
		t.Error("a string was sent")
	}
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err == nil {
		t.Error("something arrived")
	}
}
