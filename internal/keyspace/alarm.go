package keyspace

import (
	"encoding/binary"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

// Alarms are those raised in the cluster, as the system shard keeps them.
type Alarms struct {
	// Index is that of the log entry which changed them last, 0 if none has.
	Index uint64
	// Raised are in order (kv.Alarm.Compare).
	Raised []kv.Alarm
}

// AppendAlarms appends the encoding of a:
//
//	index:uvarint, of each alarm node:uvarint kind:byte
func AppendAlarms(buf []byte, a Alarms) []byte {
	buf = binary.AppendUvarint(buf, a.Index)
	for _, alarm := range a.Raised {
		buf = binary.AppendUvarint(buf, uint64(alarm.Node))
		buf = append(buf, byte(alarm.Kind))
	}
	return buf
}

// ParseAlarms undoes AppendAlarms.
func ParseAlarms(b []byte) (Alarms, error) {
	in := reader{rest: b}
	a := Alarms{Index: in.number(0, math.MaxUint64)}
	var last kv.Alarm
	for len(in.rest) > 0 {
		alarm := kv.Alarm{Node: kv.NodeID(in.number(1, math.MaxUint64))}
		alarm.Kind = kv.AlarmKind(in.number(1, math.MaxInt8))
		if in.bad || last.Compare(alarm) >= 0 {
			return Alarms{}, corrupt("alarms out of order", b)
		}
		a.Raised, last = append(a.Raised, alarm), alarm
	}
	if in.bad {
		return Alarms{}, corrupt("bad alarms", b)
	}
	return a, nil
}
