package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

func putRequest(r *pb.PutRequest) kv.PutRequest {
	return kv.PutRequest{
		Key: r.Key, Value: r.Value, Lease: kv.LeaseID(r.Lease), PrevKV: r.PrevKv,
		IgnoreValue: r.IgnoreValue, IgnoreLease: r.IgnoreLease,
	}
}

func deleteRequest(r *pb.DeleteRangeRequest) kv.DeleteRequest {
	return kv.DeleteRequest{Range: keyRange(r.Key, r.RangeEnd), PrevKV: r.PrevKv}
}

// txnRequest is what the store is asked for a transaction that checkTxn let
// pass. It shares bytes with r, and fails with kv.ErrInvalid.
func txnRequest(r *pb.TxnRequest) (req kv.TxnRequest, err error) {
	if len(r.Compare) > 0 {
		req.Compares = make([]kv.Compare, len(r.Compare))
	}
	for i, c := range r.Compare {
		if req.Compares[i], err = compare(c); err != nil {
			return req, err
		}
	}
	if req.Success, err = branch(r.Success); err != nil {
		return req, err
	}
	req.Failure, err = branch(r.Failure)
	return req, err
}

// compare is a condition. Only the operand that belongs to the target counts;
// if another was sent, it is compared with zero, as in etcd.
func compare(c *pb.Compare) (kv.Compare, error) {
	to := kv.Compare{Key: c.Key, RangeEnd: c.RangeEnd}
	switch c.Result {
	case pb.Compare_EQUAL:
		to.Relation = kv.Equal
	case pb.Compare_GREATER:
		to.Relation = kv.Greater
	case pb.Compare_LESS:
		to.Relation = kv.Less
	case pb.Compare_NOT_EQUAL:
		to.Relation = kv.NotEqual
	default:
		return to, kv.Invalid("compare result is %d, the highest is %d",
			c.Result, pb.Compare_NOT_EQUAL)
	}
	switch c.Target {
	case pb.Compare_VERSION:
		to.Target, to.Number = kv.CompareVersion, c.GetVersion()
	case pb.Compare_CREATE:
		to.Target, to.Number = kv.CompareCreate, c.GetCreateRevision()
	case pb.Compare_MOD:
		to.Target, to.Number = kv.CompareMod, c.GetModRevision()
	case pb.Compare_VALUE:
		to.Target, to.Value = kv.CompareValue, c.GetValue()
	case pb.Compare_LEASE:
		to.Target, to.Number = kv.CompareLease, c.GetLease()
	default:
		return to, kv.Invalid("compare target is %d, the highest is %d",
			c.Target, pb.Compare_LEASE)
	}
	return to, nil
}

func branch(from []*pb.RequestOp) ([]kv.Op, error) {
	if len(from) == 0 {
		return nil, nil
	}
	ops := make([]kv.Op, len(from))
	for i := range from {
		if err := fillOp(&ops[i], from[i]); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

func fillOp(to *kv.Op, from *pb.RequestOp) error {
	switch r := from.Request.(type) {
	case *pb.RequestOp_RequestRange:
		req := rangeRequest(r.RequestRange)
		if r.RequestRange.Revision < 0 {
			// Unlike alone, below zero is not the latest here, but older than
			// every compaction.
			req.Revision = kv.FirstRevision
		}
		to.Range = &req
	case *pb.RequestOp_RequestPut:
		req := putRequest(r.RequestPut)
		to.Put = &req
	case *pb.RequestOp_RequestDeleteRange:
		req := deleteRequest(r.RequestDeleteRange)
		to.Delete = &req
	case *pb.RequestOp_RequestTxn:
		req, err := txnRequest(r.RequestTxn)
		to.Txn = &req
		return err
	}
	return nil
}
