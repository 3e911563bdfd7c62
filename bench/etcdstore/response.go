package etcdstore

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/miruvor/miruvor/internal/kv"
)

func keyValue(pair *mvccpb.KeyValue) kv.KeyValue {
	return kv.KeyValue{
		Key:            pair.Key,
		Value:          pair.Value,
		CreateRevision: kv.Revision(pair.CreateRevision),
		ModRevision:    kv.Revision(pair.ModRevision),
		Version:        pair.Version,
		Lease:          kv.LeaseID(pair.Lease),
	}
}

// optional is nil for nil.
func optional(pair *mvccpb.KeyValue) *kv.KeyValue {
	if pair == nil {
		return nil
	}
	out := keyValue(pair)
	return &out
}

func keyValues(pairs []*mvccpb.KeyValue) []kv.KeyValue {
	var out []kv.KeyValue
	for _, pair := range pairs {
		out = append(out, keyValue(pair))
	}
	return out
}

// rangeResponse cuts what etcd answered to req's bytes. Etcd tells no revision
// inside a transaction.
func rangeResponse(req *kv.RangeRequest, resp *pb.RangeResponse) kv.RangeResponse {
	out := kv.RangeResponse{
		Revision: kv.Revision(resp.Header.GetRevision()),
		KVs:      keyValues(resp.Kvs),
		More:     resp.More,
	}
	if req.WantCount || req.CountOnly {
		out.Count = resp.Count
	}
	size := 0
	for i, pair := range out.KVs {
		size += len(pair.Key) + len(pair.Value)
		if req.BytesMax > 0 && size >= req.BytesMax && i+1 < len(out.KVs) {
			out.KVs, out.More = out.KVs[:i+1], true
			break
		}
	}
	return out
}

// txnResponse leaves the versions that puts made for others to fill in.
func txnResponse(req *kv.TxnRequest, resp *pb.TxnResponse) kv.TxnResponse {
	out := kv.TxnResponse{
		Revision:  kv.Revision(resp.Header.GetRevision()),
		Succeeded: resp.Succeeded,
	}
	for i, op := range taken(req, resp.Succeeded) {
		out.Results = append(out.Results, result(op, resp.Responses[i]))
	}
	return out
}

func result(op kv.Op, resp *pb.ResponseOp) kv.Result {
	switch {
	case op.Range != nil:
		answer := rangeResponse(op.Range, resp.GetResponseRange())
		return kv.Result{Range: &answer}
	case op.Put != nil:
		return kv.Result{Put: &kv.PutResponse{Prev: optional(resp.GetResponsePut().PrevKv)}}
	case op.Delete != nil:
		deleted := resp.GetResponseDeleteRange()
		return kv.Result{Delete: &kv.DeleteResponse{
			Deleted: deleted.Deleted, Prev: keyValues(deleted.PrevKvs),
		}}
	}
	answer := txnResponse(op.Txn, resp.GetResponseTxn())
	return kv.Result{Txn: &answer}
}
