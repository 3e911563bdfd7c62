package etcdstore

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// unbounded is etcd's range end that stands for no upper bound.
var unbounded = []byte{0}

// bounds are key and range end of r as etcd writes them. The range of the
// empty key alone becomes the empty key, for etcd to refuse.
func bounds(r kv.Range) (key, end []byte) {
	if len(r.Start) == 0 && string(r.End) == string(unbounded) {
		return nil, nil
	}
	if key = r.Start; len(key) == 0 {
		key = []byte{0}
	}
	switch {
	case r.End == nil:
		return key, unbounded
	case r.Empty():
		return key, key
	}
	return key, r.End
}

func rangeRequest(req *kv.RangeRequest) *pb.RangeRequest {
	key, end := bounds(req.Range)
	out := &pb.RangeRequest{
		Key:          key,
		RangeEnd:     end,
		Limit:        int64(req.Limit),
		Revision:     int64(req.Revision),
		Serializable: req.Serializable,
		KeysOnly:     req.KeysOnly,
		CountOnly:    req.CountOnly,
	}
	if req.Reverse {
		out.SortOrder, out.SortTarget = pb.RangeRequest_DESCEND, pb.RangeRequest_KEY
	}
	return out
}

// txnRequest relies on targets and relations having etcd's numbers.
func txnRequest(req *kv.TxnRequest) *pb.TxnRequest {
	out := &pb.TxnRequest{Success: requestOps(req.Success), Failure: requestOps(req.Failure)}
	for i := range req.Compares {
		out.Compare = append(out.Compare, compare(&req.Compares[i]))
	}
	return out
}

func compare(c *kv.Compare) *pb.Compare {
	out := &pb.Compare{
		Key:      c.Key,
		RangeEnd: c.RangeEnd,
		Target:   pb.Compare_CompareTarget(c.Target),
		Result:   pb.Compare_CompareResult(c.Relation),
	}
	switch c.Target {
	case kv.CompareVersion:
		out.TargetUnion = &pb.Compare_Version{Version: c.Number}
	case kv.CompareCreate:
		out.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: c.Number}
	case kv.CompareMod:
		out.TargetUnion = &pb.Compare_ModRevision{ModRevision: c.Number}
	case kv.CompareValue:
		out.TargetUnion = &pb.Compare_Value{Value: c.Value}
	case kv.CompareLease:
		out.TargetUnion = &pb.Compare_Lease{Lease: c.Number}
	}
	return out
}

func requestOps(ops []kv.Op) []*pb.RequestOp {
	var out []*pb.RequestOp
	for _, op := range ops {
		out = append(out, requestOp(op))
	}
	return out
}

func requestOp(op kv.Op) *pb.RequestOp {
	switch {
	case op.Range != nil:
		return &pb.RequestOp{
			Request: &pb.RequestOp_RequestRange{RequestRange: rangeRequest(op.Range)},
		}
	case op.Put != nil:
		return &pb.RequestOp{
			Request: &pb.RequestOp_RequestPut{RequestPut: putRequest(op.Put)},
		}
	case op.Delete != nil:
		key, end := bounds(op.Delete.Range)
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
			RequestDeleteRange: &pb.DeleteRangeRequest{
				Key: key, RangeEnd: end, PrevKv: op.Delete.PrevKV,
			},
		}}
	case op.Txn != nil:
		return &pb.RequestOp{
			Request: &pb.RequestOp_RequestTxn{RequestTxn: txnRequest(op.Txn)},
		}
	}
	return &pb.RequestOp{}
}

func putRequest(req *kv.PutRequest) *pb.PutRequest {
	return &pb.PutRequest{
		Key:         req.Key,
		Value:       req.Value,
		Lease:       int64(req.Lease),
		PrevKv:      req.PrevKV,
		IgnoreValue: req.IgnoreValue,
		IgnoreLease: req.IgnoreLease,
	}
}
