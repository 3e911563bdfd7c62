package kvfake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// lease lives until deadline. Which keys hang on it is written in the keys.
type lease struct {
	id       kv.LeaseID
	granted  int64
	deadline time.Time
}

// LeaseGrant implements kv.Store.
func (s *Store) LeaseGrant(ctx context.Context, req kv.LeaseGrantRequest) (kv.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return kv.Lease{}, err
	}
	defer s.leave()
	if err := s.checkRoom(); err != nil {
		return kv.Lease{}, err
	}
	switch {
	case req.ID < 0:
		return kv.Lease{}, kv.Invalid("lease id is %d, it must not be negative", req.ID)
	case req.TTL > kv.LeaseTTLMax:
		return kv.Lease{}, fmt.Errorf("%w: %d seconds, the most is %d",
			kv.ErrLeaseTTLTooLarge, req.TTL, kv.LeaseTTLMax)
	case s.leases[req.ID] != nil:
		return kv.Lease{}, fmt.Errorf("%w: %d", kv.ErrLeaseExists, req.ID)
	case req.ID == 0:
		req.ID = s.unusedLeaseID()
	}
	l := &lease{id: req.ID, granted: max(req.TTL, kv.LeaseTTLMin)}
	s.leases[l.id] = l
	return s.renew(l), nil
}

// LeaseRevoke implements kv.Store.
func (s *Store) LeaseRevoke(ctx context.Context, id kv.LeaseID) (kv.Revision, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	if _, err := s.lease(id); err != nil {
		return 0, err
	}
	s.end(id)
	return s.revision, nil
}

// LeaseKeepAlive implements kv.Store.
func (s *Store) LeaseKeepAlive(ctx context.Context, id kv.LeaseID) (kv.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return kv.Lease{}, err
	}
	defer s.leave()
	l, err := s.lease(id)
	if err != nil {
		return kv.Lease{}, err
	}
	return s.renew(l), nil
}

// LeaseTimeToLive implements kv.Store.
func (s *Store) LeaseTimeToLive(
	ctx context.Context, id kv.LeaseID, keys bool,
) (kv.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return kv.Lease{}, err
	}
	defer s.leave()
	l, err := s.lease(id)
	if err != nil {
		return kv.Lease{}, err
	}
	left := l.deadline.Sub(s.now()) / time.Second
	resp := kv.Lease{ID: id, TTL: int64(left), Granted: l.granted, Revision: s.revision}
	if keys {
		resp.Keys = s.leaseKeys(id)
	}
	return resp, nil
}

// Leases implements kv.Store.
func (s *Store) Leases(ctx context.Context) (kv.LeaseList, error) {
	if err := s.enter(ctx); err != nil {
		return kv.LeaseList{}, err
	}
	defer s.leave()
	return kv.LeaseList{IDs: slices.Sorted(maps.Keys(s.leases)), Revision: s.revision}, nil
}

// Expire ends the leases whose time is over. Every other method does so
// first, and with the default clock it happens by itself; a test that turns
// its own clock forward calls it so that watches see what went.
func (s *Store) Expire() {
	s.mu.Lock()
	defer s.leave()
	s.expire()
}

// expire ends what is due, each lease at a revision of its own.
func (s *Store) expire() {
	byDeadline := func(a, b *lease) int {
		return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.id, b.id))
	}
	for _, l := range slices.SortedFunc(maps.Values(s.leases), byDeadline) {
		if !l.deadline.After(s.now()) {
			s.end(l.id)
		}
	}
}

// end removes a lease and deletes its keys, at one revision if there are any.
func (s *Store) end(id kv.LeaseID) {
	run := execution{store: s, revision: s.revision}
	for _, key := range s.leaseKeys(id) {
		run.delete(&kv.DeleteRequest{Range: kv.PointRange(key)})
	}
	run.commit()
	delete(s.leases, id)
}

// leaseKeys are those whose last version names the lease, ascending.
func (s *Store) leaseKeys(id kv.LeaseID) [][]byte {
	var keys [][]byte
	for _, found := range s.history.scan(kv.Range{}, s.revision) {
		if found.Lease == id {
			keys = append(keys, clone(found).Key)
		}
	}
	return keys
}

func (s *Store) lease(id kv.LeaseID) (*lease, error) {
	if l := s.leases[id]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: %d", kv.ErrLeaseNotFound, id)
}

func (s *Store) renew(l *lease) kv.Lease {
	l.deadline = s.now().Add(seconds(l.granted))
	return kv.Lease{ID: l.id, TTL: l.granted, Granted: l.granted, Revision: s.revision}
}

// seconds stops at the longest duration there is, which is 292 years.
func seconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(n, most)) * time.Second
}

func (s *Store) unusedLeaseID() kv.LeaseID {
	id := kv.LeaseID(1)
	for s.leases[id] != nil {
		id++
	}
	return id
}

// arm sets the timer to when the next lease is due.
func (s *Store) arm() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if len(s.leases) == 0 {
		return
	}
	next := slices.MinFunc(slices.Collect(maps.Values(s.leases)), func(a, b *lease) int {
		return a.deadline.Compare(b.deadline)
	})
	s.timer = time.AfterFunc(next.deadline.Sub(s.now()), s.Expire)
}
