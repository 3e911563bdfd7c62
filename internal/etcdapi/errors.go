package etcdapi

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// answers is the one table from sentinels to etcd's errors. The first that fits
// is taken, so what is uncertain stays so whatever else went wrong.
var answers = []struct{ sentinel, answer error }{
	{kv.ErrUncertain, rpctypes.ErrGRPCTimeout},
	{kv.ErrTooLarge, rpctypes.ErrGRPCRequestTooLarge},
	{kv.ErrTooManyOps, rpctypes.ErrGRPCTooManyOps},
	{kv.ErrDuplicateKey, rpctypes.ErrGRPCDuplicateKey},
	{kv.ErrKeyNotFound, rpctypes.ErrGRPCKeyNotFound},
	{kv.ErrCompacted, rpctypes.ErrGRPCCompacted},
	{kv.ErrFutureRevision, rpctypes.ErrGRPCFutureRev},
	{kv.ErrLeaseNotFound, rpctypes.ErrGRPCLeaseNotFound},
	{kv.ErrLeaseExists, rpctypes.ErrGRPCLeaseExist},
	{kv.ErrLeaseTTLTooLarge, rpctypes.ErrGRPCLeaseTTLTooLarge},
	{kv.ErrNoSpace, rpctypes.ErrGRPCNoSpace},
	{kv.ErrNotLeader, rpctypes.ErrGRPCNotLeader},
	{kv.ErrBadTransferee, rpctypes.ErrGRPCBadLeaderTransferee},
	{kv.ErrNoLeader, rpctypes.ErrGRPCNoLeader},
	{kv.ErrTimeout, rpctypes.ErrGRPCTimeout},
	{kv.ErrConflict, rpctypes.ErrGRPCRequestTooManyRequests},
	{kv.ErrTooManyRequests, rpctypes.ErrGRPCRequestTooManyRequests},
	{kv.ErrStopped, rpctypes.ErrGRPCStopped},
	{kv.ErrNotReady, rpctypes.ErrGRPCNoLeader},
	{kv.ErrCorrupt, rpctypes.ErrGRPCCorrupt},
}

// failure is err as etcd would tell it.
func failure(err error) error {
	if err == nil {
		return nil
	}
	for _, a := range answers {
		if errors.Is(err, a.sentinel) {
			return a.answer
		}
	}
	switch {
	case errors.Is(err, kv.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.Canceled):
		return status.FromContextError(context.Canceled).Err()
	case errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Unknown, err.Error())
}
