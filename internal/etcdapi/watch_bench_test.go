package etcdapi_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// unread is a message that is not decoded: the clients of the benchmark are to
// cost little.
type unread struct{}

type unreadCodec struct{ encoding.CodecV2 }

func (c unreadCodec) Unmarshal(data mem.BufferSlice, message any) error {
	if _, ok := message.(*unread); ok {
		return nil
	}
	return c.CodecV2.Unmarshal(data, message)
}

// BenchmarkFanOut puts a key that a thousand watches of one range are told of,
// which are spread over so many streams of one connection. The time and what is
// allocated are per put; clients and the store are part of them.
func BenchmarkFanOut(b *testing.B) {
	const watches = 1000
	for _, streams := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			fake := kvfake.New()
			conn := serve(b, etcdapi.Options{Store: fake, Maintainer: fake})
			codec := grpc.ForceCodecV2(unreadCodec{encoding.GetCodecV2(proto.Name)})
			var left atomic.Int64
			told := make(chan struct{})
			for range streams {
				stream, err := pb.NewWatchClient(conn).Watch(b.Context(), codec)
				if err != nil {
					b.Fatal(err)
				}
				for range watches / streams {
					createAll(b, stream)
				}
				go func() {
					for stream.RecvMsg(&unread{}) == nil {
						if left.Add(-1) == 0 {
							told <- struct{}{}
						}
					}
				}()
			}
			put := kv.PutRequest{Key: []byte("key"), Value: make([]byte, 256)}
			b.ReportAllocs()
			for b.Loop() {
				left.Store(watches)
				if _, err := kv.Put(b.Context(), fake, put); err != nil {
					b.Fatal(err)
				}
				<-told
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/watches, "ns/event")
		})
	}
}

// createAll adds a watch of all keys.
func createAll(b *testing.B, stream pb.Watch_WatchClient) {
	b.Helper()
	if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}},
	}}); err != nil {
		b.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		b.Fatal(err)
	}
}
