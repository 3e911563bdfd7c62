package etcdimport

import (
	"errors"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
)

// Options say what to import. From, To and Limits are needed.
type Options struct {
	// From is the source. The caller closes it.
	From *clientv3.Client
	// To is the target, of which nobody else writes what is imported.
	To kv.Store
	// Prefix is what the keys to import begin with; empty for all.
	Prefix []byte
	// Follow goes on with what happens in the source, until the context ends.
	Follow bool
	// UntilIdle ends following once everything has been there, and nothing
	// new has happened, for so long; 0 is never.
	UntilIdle time.Duration
	// Overwrite takes a target that holds keys with the prefix already. Those
	// that the source does not have are deleted.
	Overwrite bool
	// Verify compares both sides when all is done.
	Verify bool
	// Limits are the target's.
	Limits kv.Limits
	// RequestTimeout is the longest that one attempt of a request may take,
	// RetryFor how long one is tried again that fails for the moment. 0 is 10 s
	// and 10 min.
	RequestTimeout, RetryFor time.Duration
	Logger                   *slog.Logger
	// Progress is told now and then, from one goroutine; nil for nobody.
	Progress func(Progress)
}

const (
	requestTimeoutDefault = 10 * time.Second
	retryForDefault       = 10 * time.Minute
)

func (o *Options) complete() error {
	if o.RequestTimeout == 0 {
		o.RequestTimeout = requestTimeoutDefault
	}
	if o.RetryFor == 0 {
		o.RetryFor = retryForDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Limits.OpsMax < 1 || o.Limits.RequestBytesMax < 1 {
		return kv.Invalid("limits: at least 1 operation and 1 byte")
	}
	return nil
}

// Phase is what an import is doing.
type Phase string

// The phases, in their order.
const (
	Copying   Phase = "copying"
	Following Phase = "following"
	Verifying Phase = "verifying"
)

// Progress is how far an import is. Revisions are the source's.
type Progress struct {
	Phase Phase
	// Keys of Total were copied or compared; Bytes is their size. While
	// following, Keys and Bytes are those of the changes.
	Keys, Total, Bytes int64
	// Position is the revision up to which everything is in the target. Head
	// is the one that the source was at, when it was last asked.
	Position, Head kv.Revision
}

// Lag is how many revisions of the source are not in the target yet.
func (p Progress) Lag() int64 { return int64(max(p.Head-p.Position, 0)) }

// Summary is an import in a few numbers.
type Summary struct {
	// Source is the id of the cluster that was imported.
	Source kv.ClusterID
	// Position is the revision of the source up to which everything is in the
	// target, 0 if that is not so yet; Head is as in Progress.
	Position, Head kv.Revision
	// Keys were read while copying, all rounds together; Puts and Deletes were
	// written.
	Keys, Puts, Deletes int64
	// Bytes is the size of the keys and values that were put.
	Bytes  int64
	Leases int64
	// Resumed tells that an earlier import went on, Rounds how often keys were
	// copied or compared.
	Resumed bool
	Rounds  int
	// Finished tells that there is nothing to resume, Verified how many keys
	// were compared at the end.
	Finished bool
	Verified int64
}

// The errors that a caller may want to tell apart.
var (
	// ErrNotEmpty is a target that holds keys with the prefix.
	ErrNotEmpty = errors.New("the target holds keys already")
	// ErrOtherSource is a target with the unfinished import of another cluster.
	ErrOtherSource = errors.New("the target holds an unfinished import of another cluster")
	// ErrOvertaken means that another import of the prefix began.
	ErrOvertaken = errors.New("another import of these keys took over")
	// ErrDiffers means that what was imported is not what the source has.
	ErrDiffers = errors.New("the target differs from the source")
)
