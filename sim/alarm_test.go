package sim

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// alarmOp is an operation on the alarm of a node, told which are raised then.
func alarmOp(op wire.AlarmOp, changed bool, err error, raised ...kv.NodeID) *Op {
	o := &Op{Alarm: &AlarmOp{Request: wire.Alarm{Op: op}}, Err: err}
	if op != wire.AlarmList {
		o.Alarm.Request.Alarm = kv.Alarm{Node: 1, Kind: kv.AlarmNoSpace}
	}
	if err == nil {
		o.Alarm.Response = &wire.Alarms{Changed: changed}
		for _, node := range raised {
			a := kv.Alarm{Node: node, Kind: kv.AlarmNoSpace}
			o.Alarm.Response.Raised = append(o.Alarm.Response.Raised, a)
		}
	}
	return o
}

func TestCheckerOfAlarms(t *testing.T) {
	const list, raise, clear = wire.AlarmList, wire.AlarmRaise, wire.AlarmClear
	raised, cleared := alarmOp(raise, true, nil, 1), alarmOp(clear, true, nil)
	listed, none := alarmOp(list, false, nil, 1), alarmOp(list, false, nil)
	perhaps := alarmOp(raise, false, kv.ErrUncertain)
	for name, c := range map[string]struct {
		ops   []*Op
		sound bool
	}{
		"none":        {[]*Op{none}, true},
		"of nobody":   {[]*Op{listed}, false},
		"of another":  {[]*Op{raised, alarmOp(list, false, nil, 1, 2)}, false},
		"raised":      {[]*Op{raised, listed}, true},
		"lost":        {[]*Op{raised, none}, false},
		"cleared":     {[]*Op{raised, cleared, none}, true},
		"back":        {[]*Op{raised, cleared, listed}, false},
		"perhaps":     {[]*Op{perhaps, listed}, true},
		"perhaps not": {[]*Op{perhaps, none}, true},
		"refused":     {[]*Op{alarmOp(raise, false, kv.ErrTimeout), listed}, false},
		"perhaps cleared": {
			[]*Op{raised, alarmOp(clear, false, kv.ErrUncertain), none}, true,
		},
		"raised twice":    {[]*Op{raised, alarmOp(raise, true, nil, 1)}, false},
		"raised again":    {[]*Op{raised, alarmOp(raise, false, nil, 1)}, true},
		"raised later":    {[]*Op{alarmOp(raise, false, nil, 1)}, false},
		"cleared nothing": {[]*Op{alarmOp(clear, true, nil)}, false},
	} {
		h := &History{}
		for _, op := range c.ops {
			h.record(op, 0)
		}
		if err := h.Check(false); (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is under way at the same time may come in any order.
func TestCheckerOfAlarmsAtOnce(t *testing.T) {
	h := &History{}
	raise, list := alarmOp(wire.AlarmRaise, true, nil, 1), alarmOp(wire.AlarmList, false, nil)
	h.begin(raise)
	h.begin(list)
	h.end(list)
	h.end(raise)
	if err := h.Check(false); err != nil {
		t.Error(err)
	}
}
