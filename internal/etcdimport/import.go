package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Import imports. It returns how far that came together with the error. What it
// returns before anything was written is that of the first attempts; later what
// fails for the moment is tried again. It returns ErrNotEmpty, ErrOtherSource,
// ErrOvertaken, ErrDiffers, kv.ErrInvalid, errors of either side, and the cause of
// ctx when that ends. Whatever it returns, Import again goes on from there.
func Import(ctx context.Context, o Options) (Summary, error) {
	if err := o.complete(); err != nil {
		return Summary{}, err
	}
	j := newJob(&o)
	if err := j.begin(ctx, o.Overwrite); err != nil {
		return j.summary, err
	}
	err := j.run(ctx, &o)
	if j.target.mark.Copied {
		j.summary.Position = max(j.target.mark.Revision, j.progress.Position)
		j.summary.Head = max(j.progress.Head, j.summary.Position)
	}
	j.summary.Leases = j.keeper.count()
	return j.summary, err
}

// job is an import under way.
type job struct {
	source    *source
	target    *target
	keeper    *keeper
	logger    *slog.Logger
	untilIdle time.Duration
	retryFor  time.Duration
	report    func(Progress)
	progress  Progress
	summary   Summary
}

func newJob(o *Options) *job {
	keys := kv.PrefixRange(o.Prefix)
	p := &patience{each: o.RequestTimeout, total: o.RetryFor, logger: o.Logger}
	s := &source{client: o.From, keys: keys, patience: p}
	return &job{
		source: s, target: newTarget(o, keys, p), keeper: newKeeper(o, s, p), logger: o.Logger,
		untilIdle: o.UntilIdle, retryFor: o.RetryFor, report: o.Progress,
	}
}

func (j *job) tell() { j.report(j.progress) }

// beginAttempts is how often a mark is taken over that changes meanwhile: a write of
// an import that was killed may come that late, once.
const beginAttempts = 3

// begin finds out what is there, refuses what must not be, and writes the first
// mark, or takes over the one that is there.
func (j *job) begin(ctx context.Context, overwrite bool) error {
	for attempt := 1; ; attempt++ {
		err := j.beginOnce(ctx, overwrite)
		// A request that timed out had no effect.
		again := errors.Is(err, ErrOvertaken) || errors.Is(err, kv.ErrTimeout)
		if !again || ctx.Err() != nil || attempt == beginAttempts {
			return err
		}
	}
}

func (j *job) beginOnce(ctx context.Context, overwrite bool) error {
	at, err := j.source.head(ctx)
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	j.summary.Source, j.progress.Head = at.cluster, at.revision
	found, err := j.target.load(ctx)
	if err != nil && !errors.Is(err, errMark) {
		return fmt.Errorf("target: %w", err)
	}
	if err := j.refuseItself(ctx, at); err != nil {
		return err
	}
	if found && err == nil && j.target.mark.Source == at.cluster {
		return j.resume(ctx, at)
	}
	if !overwrite {
		if err := j.refuse(ctx, found, err); err != nil {
			return err
		}
	}
	return j.target.commit(ctx, nil, mark{Source: at.cluster, Revision: at.revision})
}

// refuseItself refuses a target that is the source.
func (j *job) refuseItself(ctx context.Context, at standing) error {
	var st kv.Status
	err := j.target.once(ctx, func(ctx context.Context) (err error) {
		st, err = j.target.store.Status(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if st.Cluster == at.cluster {
		return kv.Invalid("source and target are the same cluster, %v", st.Cluster)
	}
	return nil
}

// refuse refuses a target that is not ready for a first import.
func (j *job) refuse(ctx context.Context, found bool, unreadable error) error {
	switch {
	case unreadable != nil:
		return fmt.Errorf("target: key %q: %w", j.target.markKey, unreadable)
	case found:
		return fmt.Errorf("%w: %v, and this is %v", ErrOtherSource, j.target.mark.Source,
			j.summary.Source)
	}
	empty, err := j.target.isEmpty(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("target: %w", err)
	case !empty:
		return fmt.Errorf("%w, in the range %v", ErrNotEmpty, j.target.keys)
	}
	return nil
}

// resume takes over the mark that is there.
func (j *job) resume(ctx context.Context, at standing) error {
	next := j.target.mark
	if next.Revision > at.revision {
		return kv.Invalid("the source is at revision %d, which is before %d, where the import "+
			"was: it lost its past, so import it with overwriting",
			int64(at.revision), int64(next.Revision))
	}
	j.summary.Resumed = true
	intact, err := j.keeper.adopt(ctx, next.Revision)
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	if !intact {
		next.Revision, next.Copied, next.After = at.revision, false, nil
	}
	return j.target.commit(ctx, nil, next)
}

// present is where the source is, however often that must be asked.
func (j *job) present(ctx context.Context) (standing, error) {
	var at standing
	err := j.source.persist(ctx, "ask the source where it is",
		func(ctx context.Context) (err error) {
			at, err = j.source.head(ctx)
			return err
		})
	return at, err
}

// run does what is left to do behind the mark, while the keeper keeps leases.
func (j *job) run(ctx context.Context, o *Options) error {
	if err := j.tend(ctx, o); err != nil {
		return err
	}
	if err := j.target.finish(ctx); err != nil {
		return err
	}
	j.summary.Finished = true
	return nil
}

// tend runs the phases, and the keeper beside them.
func (j *job) tend(ctx context.Context, o *Options) error {
	keeping, stop := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { j.keeper.run(keeping) })
	defer func() {
		stop()
		keeper.Wait()
		// Also of an import that was interrupted: it may go on soon.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveMax)
		defer cancel()
		j.keeper.leave(last)
	}()
	err := j.phases(ctx, o)
	if err == nil {
		err = j.source.persist(ctx, "the leases of the source", j.keeper.poll)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

// leaveMax bounds the last keep-alives.
const leaveMax = 5 * time.Second

func (j *job) phases(ctx context.Context, o *Options) error {
	if j.target.mark.Copied && !o.Follow {
		// An import that followed is to end where the source is now.
		if err := j.beginCopy(ctx); err != nil {
			return err
		}
	}
	if !j.target.mark.Copied {
		if err := j.copyAll(ctx); err != nil {
			return err
		}
	}
	if o.Follow {
		if err := j.followAll(ctx); err != nil {
			return err
		}
	}
	if o.Verify {
		return j.verify(ctx)
	}
	return nil
}
