package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// patience makes requests until they succeed, fail for good, or have failed for
// too long. The zero patience makes one attempt without a bound.
type patience struct {
	// each bounds an attempt, total all of them from the first failure on.
	each, total time.Duration
	logger      *slog.Logger
}

// The bounds of a pause between two attempts.
const (
	pauseMin = 50 * time.Millisecond
	pauseMax = 5 * time.Second
)

// once makes one attempt.
func (p *patience) once(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.each)
	defer cancel()
	return request(ctx)
}

// persist makes attempts. what names the request in the log and in the error.
func (p *patience) persist(
	ctx context.Context, what string, request func(context.Context) error,
) error {
	var failing time.Time
	pause := pauseMin
	for {
		err := p.once(ctx, request)
		if err == nil {
			return nil
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if isFinal(err) || ctx.Err() != nil || time.Since(failing) >= p.total {
			return fmt.Errorf("%s: %w", what, err)
		}
		if pause >= time.Second {
			p.logger.Warn("tried again", "request", what, "error", err)
		}
		if !sleep(ctx, pause/2+rand.N(pause)/2) {
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		}
		pause = min(2*pause, pauseMax)
	}
}

// sleep returns false if ctx ends before d has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finalErrors are those of the target that another attempt would meet again,
// finalCodes those of the source.
var (
	finalErrors = []error{
		kv.ErrInvalid, kv.ErrTooLarge, kv.ErrTooManyOps, kv.ErrDuplicateKey, kv.ErrKeyNotFound,
		kv.ErrCompacted, kv.ErrFutureRevision, kv.ErrLeaseNotFound, kv.ErrLeaseExists,
		kv.ErrLeaseTTLTooLarge, kv.ErrCorrupt,
	}
	finalCodes = []codes.Code{
		codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated,
		codes.OutOfRange, codes.FailedPrecondition, codes.Unimplemented, codes.DataLoss,
	}
)

func isFinal(err error) bool {
	return slices.Contains(finalCodes, codeOf(err)) ||
		slices.ContainsFunc(finalErrors, func(final error) bool { return errors.Is(err, final) })
}

// codeOf is the code of an error of etcd's client, of which some are wrapped.
func codeOf(err error) codes.Code {
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code()
	}
	return status.Code(err)
}
