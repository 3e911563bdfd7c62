package cli

import (
	"context"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

// nodeHouse is a node as a house.
type nodeHouse struct{ *node.Node }

// Alarms implements kv.Maintainer.
func (nodeHouse) Alarms(context.Context) ([]kv.Alarm, error) { return nil, nil }

// RaiseAlarm implements kv.Maintainer.
func (nodeHouse) RaiseAlarm(context.Context, kv.Alarm) (bool, error) {
	return false, kv.ErrNotReady
}

// ClearAlarm implements kv.Maintainer.
func (nodeHouse) ClearAlarm(context.Context, kv.Alarm) (bool, error) { return false, nil }

// MoveLeader implements kv.Maintainer.
func (nodeHouse) MoveLeader(context.Context, kv.NodeID) error { return kv.ErrNotLeader }
