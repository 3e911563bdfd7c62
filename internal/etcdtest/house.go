package etcdtest

import (
	"context"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/node"
)

type house struct{ *node.Node }

func (house) Alarms(context.Context) ([]kv.Alarm, error)         { return nil, nil }
func (house) RaiseAlarm(context.Context, kv.Alarm) (bool, error) { return false, nil }
func (house) ClearAlarm(context.Context, kv.Alarm) (bool, error) { return false, nil }
func (house) MoveLeader(context.Context, kv.NodeID) error        { return kv.ErrNotLeader }
