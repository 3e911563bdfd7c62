package etcdstore

import (
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// sentinels maps etcd's errors, which only their texts tell apart.
var sentinels = map[string]error{
	rpctypes.ErrorDesc(rpctypes.ErrGRPCEmptyKey):               kv.ErrInvalid,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCValueProvided):          kv.ErrInvalid,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaseProvided):          kv.ErrInvalid,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCKeyNotFound):            kv.ErrKeyNotFound,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCTooManyOps):             kv.ErrTooManyOps,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCDuplicateKey):           kv.ErrDuplicateKey,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCRequestTooLarge):        kv.ErrTooLarge,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCCompacted):              kv.ErrCompacted,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCFutureRev):              kv.ErrFutureRevision,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaseNotFound):          kv.ErrLeaseNotFound,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaseExist):             kv.ErrLeaseExists,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaseTTLTooLarge):       kv.ErrLeaseTTLTooLarge,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCRequestTooManyRequests): kv.ErrTooManyRequests,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCStopped):                kv.ErrStopped,
	rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader):               kv.ErrNoLeader,
}

// failure is err with the sentinel that fits it, or err itself.
func failure(err error) error {
	sentinel, ok := sentinels[rpctypes.ErrorDesc(err)]
	if ok {
		return fmt.Errorf("%w (etcd: %w)", sentinel, err)
	}
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded:
		return fmt.Errorf("%w (etcd: %w)", kv.ErrUncertain, err)
	}
	return err
}
