package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Progress is how far a backup has come.
type Progress struct {
	// Keys were written, of Total; Total is -1 if it is not known.
	Keys, Total int64
	// Bytes is the size of the file so far.
	Bytes int64
}

// Options configure Write. The zero Options do.
type Options struct {
	// Progress is told after each page, if it is not nil. Counting the keys
	// beforehand costs a walk over all of them.
	Progress func(Progress)
	// PageBytes is about how much is read at once, 0 for 4 MiB.
	PageBytes int
	// Time is written into the backup, the zero Time for now.
	Time time.Time
}

const defaultPageBytes = 4 << 20

// Write writes a backup of store to w: all keys as of the revision that was
// current when it began, while others go on to write. Memory is bounded by a
// page and the ids of the leases.
//
// Leases have no revision. The file has those that there are after the last
// key was read; and those that a key in it hangs on but that ended meanwhile,
// with the shortest time to live: restored, they end at once and take their keys
// along, as it happened.
//
// What fails for the moment, as while a shard elects a leader, is tried again for
// some seconds. It returns kv.ErrCompacted if the cluster was compacted beyond the revision
// before all was read, what the store returns, and what w returns. After an
// error, what is in w is not a backup and is not taken for one.
func Write(ctx context.Context, store kv.Store, w io.Writer, opts Options) (Summary, error) {
	if opts.PageBytes == 0 {
		opts.PageBytes = defaultPageBytes
	}
	if opts.Time.IsZero() {
		opts.Time = time.Now()
	}
	status, err := store.Status(ctx)
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	job := &job{store: store, opts: opts, hung: map[kv.LeaseID]bool{}}
	job.summary.Cluster = status.Cluster
	job.summary.Time = opts.Time.UTC().Truncate(time.Millisecond)
	if err := job.run(ctx, w); err != nil {
		return Summary{}, err
	}
	return job.summary, nil
}

// job is a backup that is being taken.
type job struct {
	store   kv.Store
	opts    Options
	out     *writer
	summary Summary
	// hung are the leases that keys hang on.
	hung map[kv.LeaseID]bool
	// total is the number of keys, -1 if it is not known.
	total int64
}

func (j *job) run(ctx context.Context, w io.Writer) error {
	page, err := j.page(ctx, nil)
	if err != nil {
		return err
	}
	j.summary.Revision = page.Revision
	if j.out, err = newWriter(w, j.summary.Header); err != nil {
		return err
	}
	j.count(ctx)
	if err := j.keys(ctx, page); err != nil {
		return err
	}
	if err := j.leases(ctx); err != nil {
		return err
	}
	return j.out.finish(&j.summary)
}

// count finds out how many keys there are, for the sake of those who watch.
func (j *job) count(ctx context.Context) {
	j.total = -1
	if j.opts.Progress == nil {
		return
	}
	resp, err := j.store.Range(ctx, kv.RangeRequest{
		Revision: j.summary.Revision, CountOnly: true,
	})
	if err == nil {
		j.total = resp.Count
	}
}

// page reads the next keys from start on. The first page sets the revision.
func (j *job) page(ctx context.Context, start []byte) (kv.RangeResponse, error) {
	var resp kv.RangeResponse
	err := j.persist(ctx, func() (err error) {
		resp, err = j.store.Range(ctx, kv.RangeRequest{
			Range: kv.Range{Start: start}, Revision: j.summary.Revision, BytesMax: j.opts.PageBytes,
		})
		return err
	})
	switch {
	case errors.Is(err, kv.ErrCompacted):
		return resp, fmt.Errorf("backup: the cluster was compacted beyond %v while keys were read "+
			"at it; keep more of the past, or begin again: %w", j.summary.Revision, err)
	case err != nil:
		return resp, fmt.Errorf("backup: keys from %q on: %w", start, err)
	}
	return resp, nil
}

// keys writes the page and all that follow it.
func (j *job) keys(ctx context.Context, page kv.RangeResponse) error {
	for {
		for i := range page.KVs {
			k := &page.KVs[i]
			if k.Lease != 0 {
				j.hung[k.Lease] = true
			}
			if err := j.out.key(k); err != nil {
				return err
			}
		}
		j.tell()
		switch {
		case !page.More:
			return nil
		case len(page.KVs) == 0:
			return fmt.Errorf("backup: %w: a page without keys says that there are more",
				kv.ErrCorrupt)
		}
		last := page.KVs[len(page.KVs)-1].Key
		var err error
		if page, err = j.page(ctx, append(slices.Clone(last), 0)); err != nil {
			return err
		}
	}
}

func (j *job) tell() {
	if j.opts.Progress != nil {
		j.opts.Progress(Progress{
			Keys: j.out.keys, Total: j.total, Bytes: j.out.written + int64(len(j.out.body)),
		})
	}
}

// leases writes all leases, by id.
func (j *job) leases(ctx context.Context) error {
	var list kv.LeaseList
	err := j.persist(ctx, func() (err error) {
		list, err = j.store.Leases(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("backup: leases: %w", err)
	}
	for _, id := range list.IDs {
		if !j.hung[id] {
			j.hung[id] = false // listed, and nothing hangs on it
		}
	}
	ids := slices.Sorted(maps.Keys(j.hung))
	for some := range slices.Chunk(ids, leasesAtOnce) {
		found, err := j.ask(ctx, some)
		if err != nil {
			return err
		}
		for i := range found {
			if found[i].ID == 0 {
				continue
			}
			if err := j.out.lease(&found[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// leasesAtOnce is how many leases are asked for at a time.
const leasesAtOnce = 32

// ask is what there is to write of some leases; those to leave out have no id.
func (j *job) ask(ctx context.Context, ids []kv.LeaseID) ([]kv.Lease, error) {
	found, errs := make([]kv.Lease, len(ids)), make([]error, len(ids))
	var asking sync.WaitGroup
	for i, id := range ids {
		asking.Go(func() { found[i], errs[i] = j.lease(ctx, id) })
	}
	asking.Wait()
	return found, errors.Join(errs...)
}

func (j *job) lease(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	var l kv.Lease
	err := j.persist(ctx, func() (err error) {
		l, err = j.store.LeaseTimeToLive(ctx, id, false)
		return err
	})
	switch {
	case errors.Is(err, kv.ErrLeaseNotFound) && !j.hung[id]:
		return kv.Lease{}, nil
	case errors.Is(err, kv.ErrLeaseNotFound):
		l = kv.Lease{ID: id}
	case err != nil:
		return l, fmt.Errorf("backup: lease %d: %w", id, err)
	}
	l.Granted = max(l.Granted, kv.LeaseTTLMin)
	l.TTL = min(max(l.TTL, 0), l.Granted)
	return l, nil
}
