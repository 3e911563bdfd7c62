package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// errLost means that leases ended in the target, and their keys with them.
var errLost = errors.New("leases ended in the target")

// followAll writes what happens in the source until that is idle for long enough,
// or ctx ends.
func (j *job) followAll(ctx context.Context) error {
	var failing time.Time
	pause := pauseMin
	for {
		before := j.target.mark.Revision
		err := j.follow(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.Is(err, errSourceCompacted) || errors.Is(err, errLost):
			j.logger.Warn("all keys are compared again", "reason", err)
			if err := j.again(ctx); err != nil {
				return err
			}
			continue
		case !isWatchError(err):
			return err
		}
		if j.target.mark.Revision > before || failing.IsZero() {
			failing, pause = time.Now(), pauseMin
		}
		if isFinal(err) || time.Since(failing) >= j.retryFor {
			return err
		}
		j.logger.Warn("the watch begins anew",
			"from", int64(j.target.mark.Revision)+1, "error", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, pauseMax)
	}
}

// again compares all keys, as if they were to be copied.
func (j *job) again(ctx context.Context) error {
	j.keeper.takeLost()
	if err := j.beginCopy(ctx); err != nil {
		return err
	}
	return j.copyAll(ctx)
}

// watchError is a failure of the source while it is watched.
type watchError struct{ error }

func (e *watchError) Unwrap() error { return e.error }

func isWatchError(err error) bool {
	var failed *watchError
	return errors.As(err, &failed)
}

// follower is one watch and how far it is.
type follower struct {
	*job
	watch *watch
	// watermark is up to where the watch has told everything. settled is the one
	// of the tick before: old releases of etcd tell one ahead of the events that
	// lie below, which have come by then.
	watermark, settled kv.Revision
	// quiet is since when nothing has happened.
	quiet time.Time
	saved time.Time
}

// tickPause is how often the source is asked where it is.
const tickPause = time.Second

// follow writes what one watch tells.
func (j *job) follow(ctx context.Context) error {
	position := j.target.mark.Revision
	j.progress = Progress{
		Phase: Following, Position: position, Head: max(position, j.progress.Head),
	}
	j.tell()
	w, err := j.source.startWatch(ctx, position+1)
	if err != nil {
		return &watchError{err}
	}
	defer w.stop()
	f := &follower{job: j, watch: w, quiet: time.Now(), saved: time.Now()}
	ticker := time.NewTicker(tickPause)
	defer ticker.Stop()
	for {
		select {
		case news, ok := <-w.told:
			if !ok {
				return &watchError{w.err}
			}
			err = f.take(ctx, news)
		case <-ticker.C:
			var idle bool
			if idle, err = f.tick(ctx); idle {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		switch {
		case err != nil:
			return err
		case j.keeper.takeLost():
			return errLost
		}
	}
}

// take writes the changes of news and of what waits behind it.
func (f *follower) take(ctx context.Context, news told) error {
	var pending group
	for more := true; more; {
		f.watermark = max(f.watermark, news.watermark)
		for i := range news.changes {
			if err := f.add(ctx, &pending, &news.changes[i]); err != nil {
				return err
			}
		}
		select {
		case news, more = <-f.watch.told:
		default:
			more = false
		}
	}
	return f.write(ctx, &pending)
}

// add puts a change behind those that are pending, which are written before if
// they do not go together.
func (f *follower) add(ctx context.Context, pending *group, c *change) error {
	if c.revision <= f.target.mark.Revision {
		return nil
	}
	// The mark is an operation, too.
	if !pending.fits(c, f.target.limits.OpsMax-1, groupBytesGoal) {
		if err := f.write(ctx, pending); err != nil {
			return err
		}
	}
	pending.add(c)
	return nil
}

// write writes what is pending, with the mark.
func (f *follower) write(ctx context.Context, pending *group) error {
	if len(pending.ops) == 0 {
		return nil
	}
	limits := f.target.limits
	parts := split(pending.ops, limits.OpsMax, limits.RequestBytesMax-len(f.target.markKey))
	if len(parts) > 1 {
		f.logger.Warn("a revision is larger than the target's limits, it is written in parts",
			"revision", int64(pending.last), "changes", len(pending.ops), "parts", len(parts))
	}
	for i, ops := range parts {
		next := f.target.mark
		if i == len(parts)-1 {
			next.Revision = pending.last
		}
		err := f.job.write(ctx, ops, func(ctx context.Context, ops []kv.Op) error {
			return f.target.commit(ctx, ops, next)
		})
		if err != nil {
			return fmt.Errorf("revision %d: %w", int64(pending.last), err)
		}
	}
	f.countOps(pending.ops)
	f.progress.Keys += int64(len(pending.ops))
	f.progress.Bytes += int64(pending.bytes)
	f.quiet, f.saved = time.Now(), time.Now()
	f.locate()
	*pending = group{}
	return f.keeper.settle(ctx, f.target.mark.Revision)
}

// locate updates where the target is.
func (f *follower) locate() {
	f.progress.Position = max(f.target.mark.Revision, f.watermark)
	f.progress.Head = max(f.progress.Head, f.progress.Position)
}

// savePause is how often the mark is moved while nothing is written.
const savePause = 10 * time.Second

// tick finds out how far behind the target is, and whether that was all.
func (f *follower) tick(ctx context.Context) (idle bool, err error) {
	at, err := f.source.head(ctx)
	if err != nil {
		return false, &watchError{fmt.Errorf("ask the source where it is: %w", err)}
	}
	f.watch.askProgress()
	if at.revision > f.progress.Head {
		f.quiet = time.Now()
	}
	f.progress.Head = at.revision
	f.locate()
	f.tell()
	if f.settled > f.target.mark.Revision && time.Since(f.saved) >= savePause {
		f.saved = time.Now()
		next := f.target.mark
		next.Revision = f.settled
		if err := f.target.commit(ctx, nil, next); err != nil {
			return false, err
		}
	}
	f.settled = f.watermark
	if err := f.keeper.settle(ctx, f.progress.Position); err != nil {
		return false, err
	}
	return f.untilIdle > 0 && f.progress.Lag() == 0 && time.Since(f.quiet) >= f.untilIdle, nil
}

// groupBytesGoal is where revisions that wait are enough for a transaction.
const groupBytesGoal = 256 << 10

// group is a run of revisions that are written together. No key is in two.
type group struct {
	ops   []kv.Op
	keys  map[string]bool
	bytes int
	last  kv.Revision
}

// fits tells whether c can be written together with the group; it can with none.
func (g *group) fits(c *change, opsMax, bytesMax int) bool {
	if len(g.ops) == 0 {
		return true
	}
	if len(g.ops)+len(c.ops) > opsMax || g.bytes+c.bytes > bytesMax {
		return false
	}
	for _, op := range c.ops {
		if g.keys[string(opKey(op))] {
			return false
		}
	}
	return true
}

func (g *group) add(c *change) {
	if g.keys == nil {
		g.keys = map[string]bool{}
	}
	for _, op := range c.ops {
		g.keys[string(opKey(op))] = true
	}
	g.ops = append(g.ops, c.ops...)
	g.bytes += c.bytes
	g.last = c.revision
}

func opKey(op kv.Op) []byte {
	if op.Put != nil {
		return op.Put.Key
	}
	return op.Delete.Start
}
