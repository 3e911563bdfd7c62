package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

var _ kv.Maintainer = (*Node)(nil)

// Standing implements kv.Maintainer.
func (n *Node) Standing() kv.Standing {
	st := kv.Standing{Cluster: n.dir.desc.Cluster, Node: n.membership.self.ID}
	if known := n.standing.Load(); known != nil {
		st.Leader, st.Term = known.Leader, known.Term
	}
	return st
}

// Alarms implements kv.Maintainer.
func (n *Node) Alarms(ctx context.Context) ([]kv.Alarm, error) {
	known, err := n.alarm(ctx, &wire.Alarm{Op: wire.AlarmList})
	if err != nil {
		return nil, err
	}
	return known.Raised, nil
}

// RaiseAlarm implements kv.Maintainer. The error may be kv.ErrUncertain.
func (n *Node) RaiseAlarm(ctx context.Context, a kv.Alarm) (changed bool, err error) {
	return n.changeAlarm(ctx, &wire.Alarm{Op: wire.AlarmRaise, Alarm: a})
}

// ClearAlarm implements kv.Maintainer. The error may be kv.ErrUncertain. A node
// that still has no room raises its alarm again.
func (n *Node) ClearAlarm(ctx context.Context, a kv.Alarm) (changed bool, err error) {
	return n.changeAlarm(ctx, &wire.Alarm{Op: wire.AlarmClear, Alarm: a})
}

func (n *Node) changeAlarm(ctx context.Context, req *wire.Alarm) (changed bool, err error) {
	if err := req.Alarm.Check(); err != nil {
		return false, err
	}
	known, err := n.alarm(ctx, req)
	if err != nil {
		return false, err
	}
	return known.Changed, nil
}

// alarm asks the system shard. When it answers, this node knows what it says.
func (n *Node) alarm(ctx context.Context, req *wire.Alarm) (*wire.Alarms, error) {
	r, err := n.doAt(ctx, kv.SystemShard, worker.Request{Alarm: req})
	if err != nil {
		return nil, err
	}
	return r.Alarms, nil
}

// alarms are those that the node knows of. They must not be changed.
func (n *Node) alarms() []kv.Alarm {
	if known := n.standing.Load(); known != nil {
		return known.Alarms
	}
	return nil
}

// MoveLeader implements kv.Maintainer. The other node is preferred from then on,
// so that it is not given back. kv.ErrTimeout if the other does not lead in time;
// it may come to do so all the same.
func (n *Node) MoveLeader(ctx context.Context, to kv.NodeID) error {
	self := n.membership.self.ID
	if at := n.Standing().Leader; at != self {
		return fmt.Errorf("%w: node %d is not, node %d is", kv.ErrNotLeader, uint64(self),
			uint64(at))
	}
	if to == self {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.cfg.RequestTimeout, kv.ErrTimeout)
	defer cancel()
	if err := n.prefer(to); err != nil {
		return err
	}
	tick := time.NewTicker(handoverPause)
	defer tick.Stop()
	for n.Standing().Leader != to {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: node %d does not lead yet", kv.ErrTimeout, uint64(to))
		case <-tick.C:
		}
	}
	return nil
}

// prefer begins to hand everything over to a node, the system shard first.
func (n *Node) prefer(to kv.NodeID) error {
	for i, t := range n.threads.get() {
		err := kv.ErrStopped
		t.call(func(now wire.Instant, w *worker.Worker) {
			err = w.Prefer(to, now+wire.Instant(n.cfg.RequestTimeout))
		})
		if i == 0 && err != nil || errors.Is(err, kv.ErrStopped) {
			return err
		}
	}
	return nil
}
