// Package kvfake is a kv.Store in memory, for tests of what is written
// against that interface.
//
// It is the data model of etcd in the fewest words: one mutex, every version
// of every key kept, nothing clever, so that reading it settles what the
// right answer is. kvtest holds it and the real store to the same suite.
// It has one revision counter and no leases; a lease id is kept as given.
package kvfake

import (
	"context"
	"fmt"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

// Store is the fake. Use New.
type Store struct {
	limits kv.Limits

	mu sync.Mutex
	// revision is the last that a write took.
	revision kv.Revision
	// compacted is the oldest revision that can still be read, 0 if all can.
	compacted kv.Revision
	history   history
}

// Option changes what New makes.
type Option func(*Store)

// WithLimits replaces kv.DefaultLimits.
func WithLimits(l kv.Limits) Option {
	return func(s *Store) { s.limits = l }
}

// New is an empty store at kv.FirstRevision.
func New(opts ...Option) *Store {
	s := &Store{
		limits:   kv.DefaultLimits,
		revision: kv.FirstRevision,
		history:  history{versions: map[string][]version{}},
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := expired(ctx); err != nil {
		return kv.RangeResponse{}, err
	}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := expired(ctx); err != nil {
		return kv.TxnResponse{}, err
	}
	plan := s.decide(&req)
	if err := s.checkPlan(plan); err != nil {
		return kv.TxnResponse{}, err
	}
	run := execution{store: s, revision: s.revision}
	resp := run.txn(plan)
	s.revision = run.revision
	resp.Revision = s.revision
	return resp, nil
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
		Shards:   []kv.ShardStatus{{ID: 1, Leader: 1, Revision: s.revision}},
	}, nil
}

// Compact implements kv.Store.
func (s *Store) Compact(_ context.Context, revision kv.Revision) (kv.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
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

func expired(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", kv.ErrTimeout, err)
	}
	return nil
}
