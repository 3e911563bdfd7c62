package kv

import (
	"errors"
	"fmt"
)

// The sentinels that cross layers, and the wire between nodes. Each API maps
// them to its own codes in one table; nobody matches texts.
var (
	// ErrInvalid is a request that breaks a rule or a bound; the message
	// that wraps it names the field and the bound.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge is a request over the size limit.
	ErrTooLarge = errors.New("request is too large")
	// ErrTooManyOps is a transaction with more operations than allowed.
	ErrTooManyOps = errors.New("too many operations in txn request")
	// ErrDuplicateKey is a transaction that puts a key twice, or puts and
	// deletes it.
	ErrDuplicateKey = errors.New("duplicate key given in txn request")
	// ErrKeyNotFound is an operation on a key that has to exist.
	ErrKeyNotFound = errors.New("key not found")
	// ErrCompacted is a read below the compaction floor.
	ErrCompacted = errors.New("required revision has been compacted")
	// ErrFutureRevision is a read above the current revision.
	ErrFutureRevision = errors.New("required revision is a future revision")
	// ErrConflict means that a transaction over several shards was in the way
	// of others again and again. It has had no effect.
	ErrConflict = errors.New("transaction conflicts with others")
	// ErrLeaseNotFound is a lease that does not exist, or has expired.
	ErrLeaseNotFound = errors.New("requested lease not found")
	// ErrLeaseExists is a lease to grant under an id that is taken.
	ErrLeaseExists = errors.New("lease already exists")
	// ErrLeaseTTLTooLarge is a time to live above LeaseTTLMax.
	ErrLeaseTTLTooLarge = errors.New("too large lease TTL")
	// ErrNoSpace is a write that needs room while a node of the cluster has
	// none; see Alarm.
	ErrNoSpace = errors.New("database space exceeded")
	// ErrNotLeader is a request that only the leader can carry out.
	ErrNotLeader = errors.New("not leader")
	// ErrBadTransferee is a node that leadership can't be given to.
	ErrBadTransferee = errors.New("bad leader transferee")
	// ErrNoLeader means that a shard has had no leader for too long.
	ErrNoLeader = errors.New("no leader")
	// ErrTimeout means that the request's time ran out before it had any
	// effect.
	ErrTimeout = errors.New("request timed out")
	// ErrUncertain means that a write may or may not take effect.
	ErrUncertain = errors.New("outcome unknown, the write may or may not have happened")
	// ErrTooManyRequests is overload; trying again later may help.
	ErrTooManyRequests = errors.New("too many requests")
	// ErrStopped means that the node is shutting down.
	ErrStopped = errors.New("server stopped")
	// ErrNotReady means that the node is starting up.
	ErrNotReady = errors.New("node is not ready")
	// ErrCorrupt means that stored bytes fail their checks; the message
	// names the file and the offset, or the key.
	ErrCorrupt = errors.New("corrupt data")
)

// Invalid builds an ErrInvalid whose text names the field and the bound.
func Invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
