package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// The checks that need no store, in etcd's order: of several faults a client
// is told the same one. The store checks the rest.

func checkRange(r *pb.RangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	if !isKnown(int32(r.SortOrder), pb.RangeRequest_SortOrder_name) ||
		!isKnown(int32(r.SortTarget), pb.RangeRequest_SortTarget_name) {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

// isKnown tells whether a value of an enumeration has a name. Nearly all are 0.
func isKnown(value int32, names map[int32]string) bool {
	if value == 0 {
		return true
	}
	_, ok := names[value]
	return ok
}

func checkPut(r *pb.PutRequest) error {
	switch {
	case len(r.GetKey()) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.IgnoreValue && len(r.Value) != 0:
		return rpctypes.ErrGRPCValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	}
	return nil
}

func checkDelete(r *pb.DeleteRangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

// checkTxn checks a transaction that may hold opsMax compares, and as many
// operations in a branch. One nested in it may hold what it leaves.
func checkTxn(r *pb.TxnRequest, opsMax int) error {
	ops := max(len(r.GetCompare()), len(r.GetSuccess()), len(r.GetFailure()))
	if ops > opsMax {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.GetCompare() {
		if len(c.GetKey()) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, branch := range [...][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range branch {
			if err := checkOp(op, opsMax-ops); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp, opsMax int) error {
	switch r := op.GetRequest().(type) {
	case *pb.RequestOp_RequestRange:
		return checkRange(r.RequestRange)
	case *pb.RequestOp_RequestPut:
		return checkPut(r.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return checkDelete(r.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return checkTxn(r.RequestTxn, opsMax)
	}
	// It is what etcd says of an operation that asks for nothing.
	return rpctypes.ErrGRPCKeyNotFound
}
