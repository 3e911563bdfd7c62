package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// keeper copies leases and keeps the copies alive for as long as the source has
// them. Its methods are safe for concurrent use.
type keeper struct {
	source *source
	store  kv.Store
	*patience
	// all copies the leases without keys too; follow tells that keys of leases
	// which end will be deleted by the watch.
	all, follow bool

	mu     sync.Mutex
	leases map[kv.LeaseID]*held
	// polls counts the lists of the source that were begun.
	polls uint64
	// lost is set when a copy ended that should not have: its keys are gone.
	lost bool
	// granted counts the leases that were copied.
	granted int64
}

// held is a copied lease.
type held struct {
	ttl int64
	due time.Time
	// poll is how many lists had begun when it was copied: only one that began
	// later tells that it is gone.
	poll uint64
	// gone is the revision at which the source did not have it any more, 0 if it
	// has.
	gone kv.Revision
}

func newKeeper(o *Options, s *source, p *patience) *keeper {
	return &keeper{
		source: s, store: o.To, patience: p, all: len(o.Prefix) == 0, follow: o.Follow,
		leases: map[kv.LeaseID]*held{},
	}
}

const (
	// keeperPause is how often it is looked which leases are due.
	keeperPause = 250 * time.Millisecond
	// pollPause lies between two lists of the source's leases.
	pollPause = 2 * time.Second
	// leasesAtOnce is how many leases are seen to at a time.
	leasesAtOnce = 16
)

// run keeps leases alive until ctx ends.
func (k *keeper) run(ctx context.Context) {
	var polled time.Time
	for ok := true; ok; ok = sleep(ctx, keeperPause) {
		k.renew(ctx, time.Now())
		if time.Since(polled) >= pollPause {
			polled = time.Now()
			if err := k.poll(ctx); err != nil && ctx.Err() == nil {
				k.logger.Warn("the leases of the source", "error", err)
			}
		}
	}
}

// renew keeps alive what is due at now.
func (k *keeper) renew(ctx context.Context, now time.Time) {
	k.mu.Lock()
	var due []kv.LeaseID
	for id, h := range k.leases {
		if !h.due.After(now) && (h.gone == 0 || k.follow) {
			due = append(due, id)
		}
	}
	k.mu.Unlock()
	_ = each(due, func(id kv.LeaseID) error {
		err := k.once(ctx, func(ctx context.Context) error {
			_, err := k.store.LeaseKeepAlive(ctx, id)
			return err
		})
		k.renewed(id, err)
		return nil
	})
}

func (k *keeper) renewed(id kv.LeaseID, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.leases[id]
	switch {
	case h == nil:
	case errors.Is(err, kv.ErrLeaseNotFound):
		k.lose(id)
	case err == nil:
		h.due = time.Now().Add(dueAfter(h.ttl))
	default:
		k.logger.Debug("keep-alive", "lease", int64(id), "error", err)
	}
}

// lose notes that a copy is gone. k.mu is held.
func (k *keeper) lose(id kv.LeaseID) {
	h := k.leases[id]
	delete(k.leases, id)
	if h != nil && h.gone == 0 {
		k.lost = true
	}
}

// dueAfter is how long a lease is left alone: until a third of its time is over.
func dueAfter(ttl int64) time.Duration {
	return time.Duration(min(ttl, 3*3600)) * time.Second / 3
}

// poll copies the leases that are new in the source, and notes those that it
// does not have any more.
func (k *keeper) poll(ctx context.Context) error {
	k.mu.Lock()
	k.polls++
	began := k.polls
	k.mu.Unlock()
	ids, at, err := k.source.leases(ctx)
	if err != nil {
		return err
	}
	there := make(map[kv.LeaseID]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	k.mu.Lock()
	for id, h := range k.leases {
		switch {
		case there[id]:
			h.gone = 0
		case h.gone == 0 && h.poll < began:
			h.gone = at
		}
	}
	k.mu.Unlock()
	if !k.all {
		return nil
	}
	return k.copy(ctx, ids)
}

// settle ends the copies of leases that the source does not have any more, once
// everything up to position is in the target: their keys are gone by then. It is
// called between two writes of keys.
func (k *keeper) settle(ctx context.Context, position kv.Revision) error {
	k.mu.Lock()
	var ended []kv.LeaseID
	for id, h := range k.leases {
		if h.gone != 0 && h.gone <= position {
			ended = append(ended, id)
		}
	}
	k.mu.Unlock()
	return each(ended, func(id kv.LeaseID) error { return k.end(ctx, id) })
}

// end revokes the copy of a lease, unless the source has one of that id again.
func (k *keeper) end(ctx context.Context, id kv.LeaseID) error {
	ttl, err := k.source.granted(ctx, id)
	if err != nil {
		return err
	}
	if ttl == 0 {
		err = k.persist(ctx, fmt.Sprintf("revoke lease %d", id),
			func(ctx context.Context) error {
				_, err := k.store.LeaseRevoke(ctx, id)
				return err
			})
		if err != nil && !errors.Is(err, kv.ErrLeaseNotFound) {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.leases[id]; h != nil && ttl != 0 {
		h.gone = 0
	} else {
		delete(k.leases, id)
	}
	return nil
}

// copy grants the leases with these ids that are not copied yet.
func (k *keeper) copy(ctx context.Context, ids []kv.LeaseID) error {
	k.mu.Lock()
	var missing []kv.LeaseID
	for _, id := range ids {
		if k.leases[id] == nil {
			missing = append(missing, id)
		}
	}
	k.mu.Unlock()
	return each(missing, func(id kv.LeaseID) error { return k.grant(ctx, id) })
}

// grant copies a lease. One that the source does not have any more is left out if
// its keys' deletions are to come, and else ends as soon as a lease can.
func (k *keeper) grant(ctx context.Context, id kv.LeaseID) error {
	k.mu.Lock()
	h := &held{poll: k.polls}
	k.mu.Unlock()
	var err error
	if h.ttl, err = k.source.granted(ctx, id); err != nil {
		return err
	}
	ended := h.ttl == 0
	if ended && k.follow {
		return nil
	}
	if ended {
		h.ttl = kv.LeaseTTLMin
	}
	err = k.persist(ctx, fmt.Sprintf("grant lease %d", id), func(ctx context.Context) error {
		_, err := k.store.LeaseGrant(ctx, kv.LeaseGrantRequest{ID: id, TTL: h.ttl})
		return err
	})
	if err != nil && !errors.Is(err, kv.ErrLeaseExists) {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !ended && k.leases[id] == nil {
		k.leases[id] = h
		k.granted++
	}
	return nil
}

// usable is what is left of ids: those that keys of the target can hang on.
func (k *keeper) usable(id kv.LeaseID) kv.LeaseID {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.follow && k.leases[id] == nil {
		return 0
	}
	return id
}

// forget makes the leases count as not copied, after the target did not know one
// of them.
func (k *keeper) forget(ids []kv.LeaseID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.lose(id)
	}
}

// takeLost tells whether keys were lost since it was last asked.
func (k *keeper) takeLost() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	lost := k.lost
	k.lost = false
	return lost
}

// adopt takes over the copies that are there. It tells whether the target is as an
// import at position left it: a lease of the source that it does not have is new, or
// its copy ended while nobody kept it, and keys with it.
func (k *keeper) adopt(ctx context.Context, position kv.Revision) (intact bool, err error) {
	ids, _, err := k.source.leases(ctx)
	if err != nil {
		return false, err
	}
	var list kv.LeaseList
	err = k.persist(ctx, "leases of the target", func(ctx context.Context) (err error) {
		list, err = k.store.Leases(ctx)
		return err
	})
	if err != nil {
		return false, err
	}
	slices.Sort(ids)
	slices.Sort(list.IDs)
	var copied, missing []kv.LeaseID
	for _, id := range ids {
		if _, there := slices.BinarySearch(list.IDs, id); there {
			copied = append(copied, id)
		} else {
			missing = append(missing, id)
		}
	}
	if err := k.copy(ctx, copied); err != nil {
		return false, err
	}
	for _, id := range missing {
		if held, err := k.source.heldKeys(ctx, id, position); err != nil || held {
			return false, err
		}
	}
	return true, nil
}

// leave lets all copies begin their time anew, the last time that this import
// sees to them.
func (k *keeper) leave(ctx context.Context) {
	k.mu.Lock()
	for _, h := range k.leases {
		h.due = time.Time{}
	}
	k.mu.Unlock()
	k.renew(ctx, time.Now())
}

// count is how many leases are copied.
func (k *keeper) count() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.granted
}

// ids are the leases that ops hang keys on.
func leasesOf(ops []kv.Op) []kv.LeaseID {
	found := map[kv.LeaseID]bool{}
	for _, op := range ops {
		if op.Put != nil && op.Put.Lease != 0 {
			found[op.Put.Lease] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// each does a thing for every id, some at a time, and returns what failed.
func each(ids []kv.LeaseID, do func(kv.LeaseID) error) error {
	for some := range slices.Chunk(ids, leasesAtOnce) {
		errs := make([]error, len(some))
		var doing sync.WaitGroup
		for i, id := range some {
			doing.Go(func() { errs[i] = do(id) })
		}
		doing.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
