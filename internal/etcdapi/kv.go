package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/miruvor/miruvor/internal/kv"
)

// kvServer is etcd's KV service. Its calls answer with replies in place of etcd's
// messages (kvDescription), so the methods of those do not exist.
type kvServer struct {
	pb.UnimplementedKVServer
	api *API
}

// kvDescription is etcd's description of KV, with the handlers of its calls being
// ours.
func kvDescription() *grpc.ServiceDesc {
	desc := pb.KV_ServiceDesc
	desc.Methods = []grpc.MethodDesc{
		{MethodName: "Range", Handler: handler((*kvServer).get)},
		{MethodName: "Put", Handler: handler((*kvServer).put)},
		{MethodName: "DeleteRange", Handler: handler((*kvServer).delete)},
		{MethodName: "Txn", Handler: handler((*kvServer).txn)},
		{MethodName: "Compact", Handler: handler((*kvServer).compact)},
	}
	return &desc
}

// handler is how gRPC calls a call.
func handler[Request any](
	call func(*kvServer, context.Context, *Request) (reply, error),
) grpc.MethodHandler {
	return func(
		srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
	) (any, error) {
		r := new(Request)
		if err := decode(r); err != nil {
			return nil, err
		}
		return call(srv.(*kvServer), ctx, r)
	}
}

// get reads a key or a range of them.
func (s *kvServer) get(ctx context.Context, r *pb.RangeRequest) (reply, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	var (
		req  = rangeRequest(r)
		read kv.RangeResponse
		err  error
	)
	if len(r.RangeEnd) == 0 {
		read, err = s.api.store.Range(ctx, req)
	} else {
		read, err = s.api.read(ctx, &req)
	}
	if err != nil {
		return nil, failure(err)
	}
	shape(r, &read)
	return &rangeReply{heading: s.api.heading(read.Revision), read: read}, nil
}

// put sets a key.
func (s *kvServer) put(ctx context.Context, r *pb.PutRequest) (reply, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	var lone struct {
		put kv.PutRequest
		ops [1]kv.Op
	}
	lone.put = putRequest(r)
	lone.ops[0].Put = &lone.put
	resp, err := s.api.store.Txn(ctx, kv.TxnRequest{Success: lone.ops[:]})
	if err != nil {
		return nil, failure(err)
	}
	return &putReply{
		heading: s.api.heading(resp.Revision), prev: resp.Results[0].Put.Prev,
	}, nil
}

// delete deletes a key or a range of them.
func (s *kvServer) delete(ctx context.Context, r *pb.DeleteRangeRequest) (reply, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	resp, err := kv.Delete(ctx, s.api.store, deleteRequest(r))
	if err != nil {
		return nil, failure(err)
	}
	return &deleteReply{
		heading: s.api.heading(resp.Revision), deleted: *resp.Results[0].Delete,
	}, nil
}

// txn carries out a transaction.
func (s *kvServer) txn(ctx context.Context, r *pb.TxnRequest) (reply, error) {
	if err := checkTxn(r, s.api.limits.OpsMax); err != nil {
		return nil, err
	}
	req, err := txnRequest(r)
	if err != nil {
		return nil, failure(err)
	}
	resp, err := s.api.store.Txn(ctx, req)
	if err != nil {
		return nil, failure(err)
	}
	return &txnReply{heading: s.api.heading(resp.Revision), request: r, resp: resp}, nil
}

// compact forgets the history below a revision. Reads and watches below are
// refused once it returned; the space comes back in the background, so that
// Physical has nothing to wait for.
func (s *kvServer) compact(ctx context.Context, r *pb.CompactionRequest) (reply, error) {
	rev, err := s.api.store.Compact(ctx, kv.Revision(r.Revision))
	if err != nil {
		return nil, failure(err)
	}
	return s.api.heading(rev), nil
}
