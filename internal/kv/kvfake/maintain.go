package kvfake

import (
	"context"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

var _ kv.Maintainer = (*Store)(nil)

// Standing implements kv.Maintainer: the fake leads itself, unless Stand said
// otherwise.
func (s *Store) Standing() kv.Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing
}

// Stand has the fake stand differently from now on: not leading, say.
func (s *Store) Stand(as kv.Standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = as
}

// Alarms implements kv.Maintainer.
func (s *Store) Alarms(ctx context.Context) ([]kv.Alarm, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return slices.Clone(s.alarms), nil
}

// RaiseAlarm implements kv.Maintainer.
func (s *Store) RaiseAlarm(ctx context.Context, a kv.Alarm) (changed bool, err error) {
	return s.changeAlarm(ctx, a, true)
}

// ClearAlarm implements kv.Maintainer.
func (s *Store) ClearAlarm(ctx context.Context, a kv.Alarm) (changed bool, err error) {
	return s.changeAlarm(ctx, a, false)
}

func (s *Store) changeAlarm(
	ctx context.Context, a kv.Alarm, raise bool,
) (changed bool, err error) {
	if err := a.Check(); err != nil {
		return false, err
	}
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	i, raised := slices.BinarySearchFunc(s.alarms, a, kv.Alarm.Compare)
	switch {
	case raise == raised:
		return false, nil
	case raise:
		s.alarms = slices.Insert(s.alarms, i, a)
	default:
		s.alarms = slices.Delete(s.alarms, i, i+1)
	}
	return true, nil
}

// checkRoom refuses what needs room while a node has none.
func (s *Store) checkRoom() error {
	for _, a := range s.alarms {
		if a.Kind == kv.AlarmNoSpace {
			return fmt.Errorf("%w: on node %d", kv.ErrNoSpace, uint64(a.Node))
		}
	}
	return nil
}

// MoveLeader implements kv.Maintainer: there is nobody else to lead.
func (s *Store) MoveLeader(ctx context.Context, to kv.NodeID) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	switch {
	case s.standing.Leader != s.standing.Node:
		return fmt.Errorf("%w: node %d leads", kv.ErrNotLeader,
			uint64(s.standing.Leader))
	case to != s.standing.Node:
		return fmt.Errorf("%w: node %d is not there", kv.ErrBadTransferee, uint64(to))
	}
	return nil
}
