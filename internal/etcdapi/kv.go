package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// kvServer is etcd's KV service.
type kvServer struct {
	pb.UnimplementedKVServer
	api *API
}

// Range reads a key or a range of them.
func (s *kvServer) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	read, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	answer := rangeAnswer(r, &read)
	answer.Header = s.api.header(read.Revision)
	return answer, nil
}

// read reads what rangeRequest(r) asks for.
func (s *kvServer) read(ctx context.Context, r *pb.RangeRequest) (kv.RangeResponse, error) {
	if err := checkRange(r); err != nil {
		return kv.RangeResponse{}, err
	}
	req := rangeRequest(r)
	if len(r.RangeEnd) == 0 {
		read, err := s.api.store.Range(ctx, req)
		return read, failure(err)
	}
	read, err := s.api.read(ctx, &req)
	return read, failure(err)
}

// Put sets a key.
func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	rev, prev, err := s.put(ctx, r)
	if err != nil {
		return nil, err
	}
	return &pb.PutResponse{Header: s.api.header(rev), PrevKv: keyValue(prev)}, nil
}

// put does what r asks, and returns its revision and the version before.
func (s *kvServer) put(
	ctx context.Context, r *pb.PutRequest,
) (kv.Revision, *kv.KeyValue, error) {
	if err := checkPut(r); err != nil {
		return 0, nil, err
	}
	var lone struct {
		put kv.PutRequest
		ops [1]kv.Op
	}
	lone.put = putRequest(r)
	lone.ops[0].Put = &lone.put
	resp, err := s.api.store.Txn(ctx, kv.TxnRequest{Success: lone.ops[:]})
	if err != nil {
		return 0, nil, failure(err)
	}
	return resp.Revision, resp.Results[0].Put.Prev, nil
}

// DeleteRange deletes a key or a range of them.
func (s *kvServer) DeleteRange(
	ctx context.Context, r *pb.DeleteRangeRequest,
) (*pb.DeleteRangeResponse, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	resp, err := kv.Delete(ctx, s.api.store, deleteRequest(r))
	if err != nil {
		return nil, failure(err)
	}
	deleted := resp.Results[0].Delete
	return &pb.DeleteRangeResponse{
		Header: s.api.header(resp.Revision), Deleted: deleted.Deleted,
		PrevKvs: keyValues(deleted.Prev),
	}, nil
}

// Txn carries out a transaction.
func (s *kvServer) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
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
	answer := txnAnswer(r, &resp)
	answer.Header = s.api.header(resp.Revision)
	return answer, nil
}

// Compact forgets the history below a revision. Reads and watches below are
// refused once it returned; the space comes back in the background, so that
// Physical has nothing to wait for.
func (s *kvServer) Compact(
	ctx context.Context, r *pb.CompactionRequest,
) (*pb.CompactionResponse, error) {
	rev, err := s.api.store.Compact(ctx, kv.Revision(r.Revision))
	if err != nil {
		return nil, failure(err)
	}
	return &pb.CompactionResponse{Header: s.api.header(rev)}, nil
}
