package kvtest

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

var sentinels = []error{
	kv.ErrInvalid, kv.ErrTooLarge, kv.ErrTooManyOps, kv.ErrDuplicateKey, kv.ErrKeyNotFound,
	kv.ErrCompacted, kv.ErrFutureRevision, kv.ErrNoLeader, kv.ErrTimeout,
	kv.ErrLeaseNotFound, kv.ErrLeaseExists, kv.ErrLeaseTTLTooLarge, kv.ErrConflict,
	kv.ErrUncertain, kv.ErrTooManyRequests, kv.ErrStopped, kv.ErrNotReady, kv.ErrCorrupt,
}

// failure names the sentinel that err wraps, which is all that a store
// promises of an error.
func failure(err error) string {
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return fmt.Sprintf("error: %v\n", sentinel)
		}
	}
	return fmt.Sprintf("error without a sentinel: %v\n", err)
}

// mustFail checks that err wraps sentinel.
func (c *testCase) mustFail(err, sentinel error, format string, args ...any) {
	c.Helper()
	if !errors.Is(err, sentinel) {
		what := fmt.Sprintf(format, args...)
		c.Fatalf("%s: the error is %v, it must wrap %q", what, err, sentinel)
	}
}

// describe prints a transaction for a failure message.
func describe(req *kv.TxnRequest) string {
	return fmt.Sprintf("%d compares, %d then, %d else, %d bytes",
		len(req.Compares), len(req.Success), len(req.Failure), req.Size())
}
