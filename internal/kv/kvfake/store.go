// Package kvfake is a kv.Store in memory, for tests of what is written
// against that interface.
//
// It is the data model of etcd in the fewest words: one mutex, every version
// of every key kept, nothing clever, so that reading it settles what the
// right answer is. kvtest holds it and the real store to the same suite.
// Nothing in it is bounded but requests. A lease that is due goes before the
// next call looks at anything, and by itself soon after it is due.
package kvfake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// Store is the fake. Use New.
type Store struct {
	limits kv.Limits
	now    func() time.Time

	mu sync.Mutex
	// revision is the last that a write took.
	revision kv.Revision
	// compacted is the oldest revision that can still be read, 0 if all can.
	compacted kv.Revision
	history   history
	leases    map[kv.LeaseID]*lease
	// timer runs Expire when the next lease is due; nil before the first.
	timer   *time.Timer
	streams map[*stream]bool
	// standing is what Standing tells, alarms those raised, in order.
	standing kv.Standing
	alarms   []kv.Alarm
}

// Option changes what New makes.
type Option func(*Store)

// WithLimits replaces kv.DefaultLimits.
func WithLimits(l kv.Limits) Option {
	return func(s *Store) { s.limits = l }
}

// WithClock replaces time.Now as the clock that leases go by.
func WithClock(now func() time.Time) Option {
	return func(s *Store) { s.now = now }
}

// New is an empty store at kv.FirstRevision.
func New(opts ...Option) *Store {
	s := &Store{
		limits:   kv.DefaultLimits,
		now:      time.Now,
		revision: kv.FirstRevision,
		history:  history{versions: map[string][]version{}},
		leases:   map[kv.LeaseID]*lease{},
		streams:  map[*stream]bool{},
		standing: kv.Standing{Cluster: 1, Node: 1, Leader: 1, Term: 1},
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

var _ kv.Store = (*Store)(nil)

// Range implements kv.Store.
func (s *Store) Range(ctx context.Context, req kv.RangeRequest) (kv.RangeResponse, error) {
	if err := s.limits.CheckRange(&req); err != nil {
		return kv.RangeResponse{}, err
	}
	if err := s.enter(ctx); err != nil {
		return kv.RangeResponse{}, err
	}
	defer s.leave()
	if err := s.checkRevision(req.Revision); err != nil {
		return kv.RangeResponse{}, err
	}
	return s.read(&req, s.revision), nil
}

// Txn implements kv.Store.
func (s *Store) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	if err := s.limits.CheckTxn(&req); err != nil {
		return kv.TxnResponse{}, err
	}
	if err := s.enter(ctx); err != nil {
		return kv.TxnResponse{}, err
	}
	defer s.leave()
	if req.Puts() {
		if err := s.checkRoom(); err != nil {
			return kv.TxnResponse{}, err
		}
	}
	plan := s.decide(&req)
	if err := s.checkPlan(plan); err != nil {
		return kv.TxnResponse{}, err
	}
	run := execution{store: s, revision: s.revision}
	resp := run.txn(plan)
	run.commit()
	resp.Revision = s.revision
	return resp, nil
}

// Compact implements kv.Store.
func (s *Store) Compact(ctx context.Context, revision kv.Revision) (kv.Revision, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	switch {
	case revision <= s.compacted:
		return 0, fmt.Errorf("%w: at %d already", kv.ErrCompacted, s.compacted)
	case revision > s.revision:
		return 0, fmt.Errorf("%w: the current one is %d", kv.ErrFutureRevision, s.revision)
	}
	s.compacted = revision
	s.history.compact(revision)
	return s.revision, nil
}

// Status implements kv.Store: one node, always ready.
func (s *Store) Status(context.Context) (kv.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return kv.Status{
		Cluster:  1,
		Node:     1,
		Name:     "fake",
		Version:  "0.0.0-fake",
		Revision: s.revision,
		Ready:    true,
		Nodes:    []kv.NodeStatus{{ID: 1, Name: "fake", Connected: true}},
		Alarms:   slices.Clone(s.alarms),
		Shards:   []kv.ShardStatus{{ID: 1, Leader: 1, Revision: s.revision}},
	}, nil
}

func (s *Store) checkRevision(asked kv.Revision) error {
	switch {
	case asked > s.revision:
		return fmt.Errorf("%w: %d asked, %d is the current one",
			kv.ErrFutureRevision, asked, s.revision)
	case asked > 0 && asked < s.compacted:
		return fmt.Errorf("%w: %d asked, %d is the oldest left",
			kv.ErrCompacted, asked, s.compacted)
	}
	return nil
}

// enter locks the store, ends the leases that are due, and refuses a request
// whose time is over. If it refuses nothing, leave has to follow.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", kv.ErrTimeout, err)
	}
	s.mu.Lock()
	s.expire()
	return nil
}

func (s *Store) leave() {
	s.arm()
	s.mu.Unlock()
}
