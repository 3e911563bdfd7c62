package etcdimport

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// shownMax is how many keys that differ are named.
const shownMax = 10

// verify compares all keys of both sides, the source's as of the mark's revision.
// Keys that went with a lease which has ended since are not counted.
func (j *job) verify(ctx context.Context) error {
	at := max(j.target.mark.Revision, j.progress.Position)
	total, err := j.source.count(ctx, at)
	if err != nil {
		return err
	}
	j.progress = Progress{Phase: Verifying, Total: total, Position: at, Head: at}
	differing, told := 0, time.Now()
	for p, err := range merge(j.source.scan(ctx, at, nil), j.target.scan(ctx, nil)) {
		if err != nil {
			return err
		}
		if p.source != nil {
			j.progress.Keys++
			j.progress.Bytes += int64(len(p.source.Key) + len(p.source.Value))
		}
		switch fine, err := j.isFine(ctx, p); {
		case err != nil:
			return err
		case fine:
			j.summary.Verified++
		default:
			if differing++; differing <= shownMax {
				j.logger.Error("a key differs", "key", string(p.key()), "how", how(p))
			}
		}
		if time.Since(told) >= tellPause {
			told = time.Now()
			j.tell()
		}
	}
	j.tell()
	if differing > 0 {
		return fmt.Errorf("%w: %d keys, %d are the same", ErrDiffers, differing,
			j.summary.Verified)
	}
	return nil
}

// isFine tells whether a key is what it should be.
func (j *job) isFine(ctx context.Context, p pair) (bool, error) {
	if p.same() {
		return true, nil
	}
	if p.source == nil || p.target != nil || p.source.Lease == 0 {
		return false, nil
	}
	ttl, err := j.source.granted(ctx, p.source.Lease)
	return err == nil && ttl == 0, err
}

func how(p pair) string {
	switch {
	case p.source == nil:
		return "the source does not have it"
	case p.target == nil:
		return "the target does not have it"
	case !bytes.Equal(p.source.Value, p.target.Value):
		return "it has another value"
	}
	return fmt.Sprintf("it has lease %d, and %d in the source", p.target.Lease, p.source.Lease)
}
