package etcdapi

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// still is a store whose writes change nothing, so that it costs little itself.
type still struct {
	*kvfake.Store
	read kv.RangeResponse
}

func (s still) Range(context.Context, kv.RangeRequest) (kv.RangeResponse, error) {
	return s.read, nil
}

func (s still) Txn(_ context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	resp := kv.TxnResponse{Revision: 1 << 20, Succeeded: true}
	resp.Results = make([]kv.Result, len(req.Success))
	for i := range req.Success {
		resp.Results[i].Put = &kv.PutResponse{Version: 1}
	}
	return resp, nil
}

// BenchmarkCall is what a call costs between its bytes and those of its answer,
// without the connection and the store.
func BenchmarkCall(b *testing.B) {
	key, value := []byte("a key of some 24 bytes.."), make([]byte, 256)
	put := &pb.PutRequest{Key: key, Value: value}
	for _, test := range []struct {
		name, method string
		request      proto.Message
		keys         int
	}{
		{"get", "Range", &pb.RangeRequest{Key: key}, 1},
		{"range100", "Range", &pb.RangeRequest{Key: key, RangeEnd: []byte{0}, Limit: 100}, 100},
		{"put", "Put", put, 0},
		{"txn", "Txn", &pb.TxnRequest{
			Compare: []*pb.Compare{{
				Key: key, Target: pb.Compare_MOD,
				TargetUnion: &pb.Compare_ModRevision{ModRevision: 1 << 20},
			}},
			Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: put}}},
			Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{
				RequestRange: &pb.RangeRequest{Key: key},
			}}},
		}, 0},
	} {
		b.Run(test.name, func(b *testing.B) {
			store := still{Store: kvfake.New()}
			store.read = kv.RangeResponse{Revision: 1 << 20, Count: int64(test.keys)}
			for range test.keys {
				store.read.KVs = append(store.read.KVs, kv.KeyValue{
					Key: key, Value: value, Version: 1,
					CreateRevision: 1 << 20, ModRevision: 1 << 20,
				})
			}
			benchmarkCall(b, store, test.method, test.request)
		})
	}
}

func benchmarkCall(b *testing.B, store still, name string, request proto.Message) {
	api := New(Options{Store: store, Maintainer: store})
	server := &handlers{}
	api.Register(server)
	handle := server.handler(name)
	message := encoded(b, request)
	decode := func(into any) error { return codec{}.Unmarshal(message, into) }
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		answer, err := handle(server.impl, b.Context(), decode, nil)
		if err != nil {
			b.Fatal(err)
		}
		if out, err = (codec{}).Append(out[:0], answer); err != nil {
			b.Fatal(err)
		}
	}
}

// handlers are those of KV.
type handlers struct {
	desc *grpc.ServiceDesc
	impl any
}

// RegisterService implements grpc.ServiceRegistrar.
func (h *handlers) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if desc.ServiceName == pb.KV_ServiceDesc.ServiceName {
		h.desc, h.impl = desc, impl
	}
}

func (h *handlers) handler(name string) grpc.MethodHandler {
	for _, m := range h.desc.Methods {
		if m.MethodName == name {
			return m.Handler
		}
	}
	return nil
}
