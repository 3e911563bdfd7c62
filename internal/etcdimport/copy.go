package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// copyAll makes the target what the source was at the mark's revision; at a later
// one if that is compacted, and again if leases ended under their keys. Then the
// mark says that it is copied.
func (j *job) copyAll(ctx context.Context) error {
	for compacted := 0; ; {
		j.summary.Rounds++
		err := j.copyOnce(ctx)
		switch {
		case errors.Is(err, errSourceCompacted):
			if compacted++; compacted == compactedMax {
				return fmt.Errorf("%d times, all keys could not be read fast enough: %w",
					compacted, err)
			}
			j.logger.Warn("the source has compacted the revision that was copied, "+
				"a later one is compared", "revision", int64(j.target.mark.Revision))
		case err != nil:
			return err
		case !j.keeper.takeLost():
			next := j.target.mark
			next.Copied, next.After = true, nil
			return j.target.commit(ctx, nil, next)
		default:
			j.logger.Warn("leases ended in the target, all keys are compared again")
		}
		if err := j.beginCopy(ctx); err != nil {
			return err
		}
	}
}

// compactedMax is how often compaction may overtake a copy.
const compactedMax = 5

// beginCopy has the keys compared from the first on, at the source's present.
func (j *job) beginCopy(ctx context.Context) error {
	at, err := j.present(ctx)
	if err != nil {
		return err
	}
	next := j.target.mark
	next.Revision, next.Copied, next.After = at.revision, false, nil
	return j.target.commit(ctx, nil, next)
}

// copyOnce compares the keys behind the mark, and writes what differs.
func (j *job) copyOnce(ctx context.Context) error {
	mark := j.target.mark
	total, err := j.source.count(ctx, mark.Revision)
	if err != nil {
		return err
	}
	j.progress = Progress{Phase: Copying, Total: total, Head: mark.Revision}
	var window batch
	told := time.Now()
	scans := merge(j.source.scan(ctx, mark.Revision, mark.After), j.target.scan(ctx, mark.After))
	for p, err := range scans {
		if err != nil {
			return err
		}
		j.look(p, &window)
		if len(window.ops) >= windowTxns*j.opsMax() || window.bytes >= windowBytes {
			if err := j.flush(ctx, &window, p.key()); err != nil {
				return err
			}
		}
		if time.Since(told) >= tellPause {
			told = time.Now()
			j.tell()
		}
	}
	err = j.flush(ctx, &window, nil)
	j.tell()
	return err
}

// tellPause lies between two reports of progress.
const tellPause = 200 * time.Millisecond

// look adds what has to be done for a key.
func (j *job) look(p pair, window *batch) {
	if p.source != nil {
		size := int64(len(p.source.Key) + len(p.source.Value))
		j.summary.Keys++
		j.progress.Keys++
		j.progress.Bytes += size
	}
	switch {
	case p.source == nil:
		window.delete(p.target.Key)
	case !p.same():
		window.put(p.source)
	}
}

// A window is what is written at a time, in transactions at once.
const (
	windowTxns  = 16
	windowBytes = 8 << 20
	txnsAtOnce  = 8
	// txnBytesGoal is where a transaction of copied keys is large enough.
	txnBytesGoal = 256 << 10
)

// opsMax is how many changes a transaction has room for, the mark not counted.
func (j *job) opsMax() int { return j.target.limits.OpsMax }

// flush writes the window. Then the mark says that the keys up to after are copied;
// nil is for no new mark.
func (j *job) flush(ctx context.Context, window *batch, after []byte) error {
	bytesMax := min(txnBytesGoal, j.target.limits.RequestBytesMax-len(j.target.markKey))
	parts := split(window.ops, j.opsMax(), bytesMax)
	if err := j.keeper.copy(ctx, leasesOf(window.ops)); err != nil {
		return err
	}
	for some := range slices.Chunk(parts, txnsAtOnce) {
		errs := make([]error, len(some))
		var writing sync.WaitGroup
		for i, ops := range some {
			writing.Go(func() { errs[i] = j.write(ctx, ops, j.target.write) })
		}
		writing.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	j.countOps(window.ops)
	window.reset()
	if after == nil {
		return nil
	}
	next := j.target.mark
	next.After = slices.Clone(after)
	return j.target.commit(ctx, nil, next)
}

// leaseAttempts is how often a write begins anew of which the target did not know a
// lease.
const leaseAttempts = 4

// write has ops written by commit, with leases that are copied before. A lease
// that ends meanwhile is copied again.
func (j *job) write(
	ctx context.Context, ops []kv.Op, commit func(context.Context, []kv.Op) error,
) error {
	ids := leasesOf(ops)
	if len(ids) == 0 {
		return commit(ctx, ops)
	}
	var err error
	for range leaseAttempts {
		if err := j.keeper.copy(ctx, ids); err != nil {
			return err
		}
		err = commit(ctx, j.hung(ops))
		if !errors.Is(err, kv.ErrLeaseNotFound) {
			return err
		}
		j.keeper.forget(ids)
	}
	return fmt.Errorf("leases %d end faster than keys are hung on them: %w", ids, err)
}

// hung is ops with the leases that there are.
func (j *job) hung(ops []kv.Op) []kv.Op {
	out := slices.Clone(ops)
	for i, op := range out {
		if op.Put != nil && op.Put.Lease != 0 {
			put := *op.Put
			put.Lease = j.keeper.usable(put.Lease)
			out[i].Put = &put
		}
	}
	return out
}

func (j *job) countOps(ops []kv.Op) {
	for _, op := range ops {
		if op.Put == nil {
			j.summary.Deletes++
			continue
		}
		j.summary.Puts++
		j.summary.Bytes += int64(opBytes(op))
	}
}
