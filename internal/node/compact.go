package node

import (
	"context"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// The bounds of what an automatic compaction may keep.
const (
	retentionMin = time.Second
	retentionMax = 366 * 24 * time.Hour
)

func checkAutoCompaction(a worker.AutoCompaction) []error {
	var problems []error
	if a.Retention != 0 && (a.Retention < retentionMin || a.Retention > retentionMax) {
		problems = append(problems, kv.Invalid(
			"auto-compaction-retention: %v is outside %v to %v, and not 0", a.Retention,
			retentionMin, retentionMax))
	}
	if a.Revisions < 0 || a.Revisions > int64(kv.RevisionMax) {
		problems = append(problems, kv.Invalid(
			"auto-compaction-retention: %d revisions are outside 0 to %d", a.Revisions,
			int64(kv.RevisionMax)))
	}
	return problems
}

// Compact implements kv.Store.
func (n *Node) Compact(ctx context.Context, rev kv.Revision) (kv.Revision, error) {
	switch {
	case rev <= 0:
		return 0, fmt.Errorf("%w: %d is asked for, revisions begin at %d", kv.ErrCompacted,
			int64(rev), int64(kv.FirstRevision))
	case rev > kv.RevisionMax:
		return 0, fmt.Errorf("%w: %d is asked for", kv.ErrFutureRevision, int64(rev))
	}
	r, err := n.do(ctx, nil, worker.Request{Compact: &wire.Compact{Revision: rev}})
	if err != nil {
		return 0, err
	}
	return r.Compacted.Current, nil
}
