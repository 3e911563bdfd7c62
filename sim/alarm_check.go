package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// alarmChange is an operation that may have raised or cleared an alarm.
type alarmChange struct {
	op    *Op
	raise bool
}

// checkAlarms checks what was told of alarms: who is told that one is raised, or that
// it is not, was told so at some moment at which that could be.
func (c *checker) checkAlarms() error {
	changes := map[kv.Alarm][]alarmChange{}
	for _, op := range c.history.Ops {
		if op.Alarm == nil || op.Alarm.Request.Op == wire.AlarmList || op.Fate() == Refused {
			continue
		}
		a := op.Alarm.Request.Alarm
		changes[a] = append(changes[a], alarmChange{op, op.Alarm.Request.Op == wire.AlarmRaise})
	}
	for _, op := range c.history.Ops {
		if op.Alarm == nil || op.Fate() != Done {
			continue
		}
		if err := checkAlarmOp(op, changes); err != nil {
			return fmt.Errorf("%w\n%v", err, op)
		}
	}
	return nil
}

// checkAlarmOp checks what an operation was told: of the alarm that it changed how
// that was before, of all others how they are.
func checkAlarmOp(op *Op, changes map[kv.Alarm][]alarmChange) error {
	req, resp := &op.Alarm.Request, op.Alarm.Response
	for _, a := range resp.Raised {
		if changes[a] == nil {
			return fmt.Errorf("nobody raised %v", a)
		}
	}
	for a, list := range changes {
		raised := slices.Contains(resp.Raised, a)
		if req.Op != wire.AlarmList && a == req.Alarm {
			raised = (req.Op == wire.AlarmRaise) != resp.Changed
		}
		if !could(op, raised, list) {
			return fmt.Errorf("%v, raised %v: %w", a, raised, errAlarm)
		}
	}
	return nil
}

var errAlarm = errors.New("it was not so at any moment meanwhile")

// could reports whether an alarm could be raised, or not, at some moment of an
// operation: if it was changed to the contrary for sure before, then something may
// have changed it back since. In the beginning none is raised.
func could(op *Op, raised bool, changes []alarmChange) bool {
	changed := raised
	var last *Op // for sure to the contrary, and begun last
	for _, ch := range changes {
		over := ch.op != op && ch.op.Fate() == Done && ch.op.End < op.Begin
		if over && ch.raise != raised && (last == nil || ch.op.Begin > last.Begin) {
			last, changed = ch.op, true
		}
	}
	for _, ch := range changes {
		begun := ch.op != op && ch.op.Begin < op.End
		after := last == nil || ch.op.Fate() == Unknown || ch.op.End > last.Begin
		if begun && after && ch.raise == raised {
			return true
		}
	}
	return !changed
}
