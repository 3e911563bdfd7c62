package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

// Upkeep is what a Request may ask for besides keys and leases: what keeps a
// cluster in order. It is a part of Request, of which one field is set.
type Upkeep struct {
	// Map asks for the shard map.
	Map     *MapRequest
	Compact *Compact
	Alarm   *Alarm
}

// UpkeepResponse is what answers an Upkeep. It is a part of Response.
type UpkeepResponse struct {
	Map       *MapResponse
	Compacted *Compacted
	Alarms    *Alarms
}

// AlarmOp is what is asked of an alarm.
type AlarmOp uint8

// What the system shard is asked about alarms.
const (
	AlarmList AlarmOp = iota
	AlarmRaise
	AlarmClear
)

// Alarm asks the system shard to list the cluster's alarms, or to change one.
type Alarm struct {
	Op    AlarmOp
	Alarm kv.Alarm
}

// Once reports whether asking twice could do something twice: an alarm that was
// cleared meanwhile is raised again, say. Nil is nothing.
func (q *Alarm) Once() bool { return q != nil && q.Op != AlarmList }

// Alarms tells those of the cluster after the entry Index of the system shard's
// log, which was the last to change them, and the term of the leader that tells.
type Alarms struct {
	// Changed tells that the request has changed them.
	Changed bool
	Index   uint64
	Term    uint64
	// Raised are in order.
	Raised []kv.Alarm
}

const (
	alarmRequestOp   = 1<<2 | kindUint
	alarmRequestNode = 2<<2 | kindUint
	alarmRequestKind = 3<<2 | kindUint

	alarmsChanged = 1<<2 | kindUint
	alarmsIndex   = 2<<2 | kindUint
	alarmsTerm    = 3<<2 | kindUint
	alarmsRaised  = 4<<2 | kindList

	alarmNode = 1<<2 | kindUint
	alarmKind = 2<<2 | kindUint

	// What the shortest element takes: its node is always there.
	alarmSizeMin = 3
)

func appendAlarmRequest(buf []byte, q *Alarm) []byte {
	buf = appendUint(buf, alarmRequestOp, uint64(q.Op))
	buf = appendUint(buf, alarmRequestNode, uint64(q.Alarm.Node))
	buf = appendUint(buf, alarmRequestKind, uint64(q.Alarm.Kind))
	return appendEnd(buf)
}

func (r *reader) alarmRequest() *Alarm {
	out := new(Alarm)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case alarmRequestOp:
			out.Op = AlarmOp(r.uintMax(uint64(AlarmClear)))
		case alarmRequestNode:
			out.Alarm.Node = kv.NodeID(r.uint())
		case alarmRequestKind:
			out.Alarm.Kind = kv.AlarmKind(r.uintMax(math.MaxUint8))
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendAlarms(buf []byte, p *Alarms) []byte {
	buf = appendBool(buf, alarmsChanged, p.Changed)
	buf = appendUint(buf, alarmsIndex, p.Index)
	buf = appendUint(buf, alarmsTerm, p.Term)
	buf = appendElements(buf, alarmsRaised, p.Raised, appendAlarm)
	return appendEnd(buf)
}

func (r *reader) alarms() *Alarms {
	out := new(Alarms)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case alarmsChanged:
			out.Changed = r.bool()
		case alarmsIndex:
			out.Index = r.uint()
		case alarmsTerm:
			out.Term = r.uint()
		case alarmsRaised:
			out.Raised = elements(r, alarmSizeMin, (*reader).alarm)
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendAlarm(buf []byte, a *kv.Alarm) []byte {
	node := uint64(a.Node)
	buf = appendPresent(buf, alarmNode, &node)
	buf = appendUint(buf, alarmKind, uint64(a.Kind))
	return appendEnd(buf)
}

func (r *reader) alarm(out *kv.Alarm) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case alarmNode:
			out.Node = kv.NodeID(r.uint())
		case alarmKind:
			out.Kind = kv.AlarmKind(r.uintMax(math.MaxUint8))
		default:
			r.skip(tag)
		}
	}
}
