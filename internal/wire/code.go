package wire

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// Code is an outcome as it crosses the wire. Numbers are forever.
type Code uint8

// The outcomes. All but the first few stand for a sentinel of package kv.
const (
	CodeOK Code = iota
	// CodeNotLeader: ask the leader instead. Nothing happened.
	CodeNotLeader
	// CodeWrongShard: the key or range is not in this shard; refresh the map.
	// Nothing happened.
	CodeWrongShard
	// CodeRetry: the replica could not take the request now. Nothing happened.
	CodeRetry
	CodeInvalid
	CodeTooLarge
	CodeTooManyOps
	CodeDuplicateKey
	CodeKeyNotFound
	CodeCompacted
	CodeFutureRevision
	_ // was a transaction over several shards, refused by an early version
	CodeNoLeader
	CodeTimeout
	CodeUncertain
	CodeTooManyRequests
	CodeStopped
	CodeNotReady
	CodeCorrupt
	// CodeAborted: the transaction over several shards that is asked for was
	// given up. Nothing happened, nothing will.
	CodeAborted
	// CodeConflict: another transaction holds what a prepare wants to lock.
	CodeConflict
	// CodeLeaseInactive: a put names a lease that the shard was not told of;
	// have it attached first. Nothing happened.
	CodeLeaseInactive
	CodeLeaseNotFound
	CodeLeaseExists
	CodeLeaseTTLTooLarge
	CodeNoSpace
	CodeBadTransferee
)

var sentinels = map[Code]error{
	CodeInvalid:          kv.ErrInvalid,
	CodeTooLarge:         kv.ErrTooLarge,
	CodeTooManyOps:       kv.ErrTooManyOps,
	CodeDuplicateKey:     kv.ErrDuplicateKey,
	CodeKeyNotFound:      kv.ErrKeyNotFound,
	CodeCompacted:        kv.ErrCompacted,
	CodeFutureRevision:   kv.ErrFutureRevision,
	CodeNoLeader:         kv.ErrNoLeader,
	CodeTimeout:          kv.ErrTimeout,
	CodeUncertain:        kv.ErrUncertain,
	CodeTooManyRequests:  kv.ErrTooManyRequests,
	CodeStopped:          kv.ErrStopped,
	CodeNotReady:         kv.ErrNotReady,
	CodeCorrupt:          kv.ErrCorrupt,
	CodeConflict:         kv.ErrConflict,
	CodeLeaseNotFound:    kv.ErrLeaseNotFound,
	CodeLeaseExists:      kv.ErrLeaseExists,
	CodeLeaseTTLTooLarge: kv.ErrLeaseTTLTooLarge,
	CodeNoSpace:          kv.ErrNoSpace,
	CodeBadTransferee:    kv.ErrBadTransferee,
}

// remoteError is an error that another node reported: its text, and the
// sentinel that it stands for.
type remoteError struct {
	text     string
	sentinel error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }

// CodeOf is the code of the sentinel that err wraps. An error that wraps
// none is CodeUncertain, because nothing is known of what it left behind.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	for code := CodeInvalid; code <= CodeBadTransferee; code++ {
		if sentinel, ok := sentinels[code]; ok && errors.Is(err, sentinel) {
			return code
		}
	}
	return CodeUncertain
}

// Err is the error that a response stands for, nil for CodeOK. It wraps
// the code's sentinel.
func (r *Response) Err() error {
	if r.Code == CodeOK {
		return nil
	}
	sentinel, ok := sentinels[r.Code]
	if !ok {
		return fmt.Errorf("%w: unexpected answer code %d: %s", kv.ErrUncertain, r.Code, r.Text)
	}
	if r.Text == "" {
		return sentinel
	}
	return &remoteError{text: r.Text, sentinel: sentinel}
}

// Oversize is what to answer in place of r, which is too large to be sent, so
// that the asker need not wait for its time to run out. It is nil if r is an
// error already. A transaction may have written something, and one over several
// shards may be decided.
func (r *Response) Oversize(bytesMax int) *Response {
	if r.Code != CodeOK {
		return nil
	}
	code := CodeTooLarge
	if r.Txn != nil || r.Outcome != nil {
		code = CodeUncertain
	}
	return &Response{
		ID: r.ID, Code: code,
		Text: fmt.Sprintf("%v: the answer is over %d bytes", sentinels[code], bytesMax),
	}
}
