package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// alarms are the changes of the cluster's alarms that are on their way through
// the log of the system shard. What is raised is in the replica's state.
type alarms struct {
	waiting []alarmAsk
}

// alarmAsk is somebody who waits for a change. seq tells its entry from others
// of the term.
type alarmAsk struct {
	from  Origin
	since wire.Instant
	seq   uint64
	// applied says that the change is; changed that it made a difference.
	applied, changed bool
}

// Bounds on alarms: far more than nodes can have, and than may change at a time.
const (
	alarmsMax    = 1024
	alarmAsksMax = 256
)

// Alarms are those of the cluster as of the last applied entry. They must not
// be changed, and never are: a change replaces them.
func (r *Replica) Alarms() keyspace.Alarms { return r.state.alarms }

// submitAlarm lists the alarms, or sends a change through the log.
func (r *Replica) submitAlarm(now wire.Instant, from Origin, req *wire.Alarm, out *Output) {
	a := &r.duties.alarms
	err := error(nil)
	if req.Op != wire.AlarmList {
		err = req.Alarm.Check()
	}
	switch {
	case r.cfg.Shard != kv.SystemShard:
		r.fail(from, kv.Invalid("alarms: shard %v does not keep them", r.cfg.Shard), out)
	case err != nil:
		r.fail(from, err, out)
	case !r.canServe():
		r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
	case req.Op == wire.AlarmList:
		r.Confirm(now, from, r.alarmsResponse(false), out)
	case len(a.waiting) >= alarmAsksMax,
		req.Op == wire.AlarmRaise && len(r.state.alarms.Raised) >= alarmsMax:
		r.fail(from, kv.ErrTooManyRequests, out)
	default:
		change := alarmChange{
			seq: r.queue.next(), raise: req.Op == wire.AlarmRaise, alarm: req.Alarm,
		}
		if !r.step([]*raftpb.Entry{{Data: appendAlarmChange(nil, change)}}) {
			r.answer(from, &wire.Response{Code: wire.CodeRetry}, out)
			return
		}
		a.waiting = append(a.waiting, alarmAsk{from: from, since: now, seq: change.seq})
	}
}

func (r *Replica) alarmsResponse(changed bool) *wire.Response {
	return &wire.Response{UpkeepResponse: wire.UpkeepResponse{Alarms: &wire.Alarms{
		Changed: changed, Index: r.state.alarms.Index, Term: r.role.term,
		Raised: r.state.alarms.Raised,
	}}}
}

// answerAlarms answers those whose change is applied.
func (r *Replica) answerAlarms(out *Output) {
	r.siftAlarms(func(a *alarmAsk) bool {
		if a.applied {
			r.answer(a.from, r.alarmsResponse(a.changed), out)
		}
		return !a.applied
	})
}

// expireAlarms gives up those who have waited since before. Their changes are in
// the log, and may come to be.
func (r *Replica) expireAlarms(before wire.Instant, out *Output) {
	r.siftAlarms(func(a *alarmAsk) bool {
		if a.since < before {
			r.fail(a.from, kv.ErrUncertain, out)
		}
		return a.since >= before
	})
}

// refuseAlarms ends a term: what is in the log may or may not come to be.
func (r *Replica) refuseAlarms(out *Output) {
	r.siftAlarms(func(a *alarmAsk) bool {
		r.fail(a.from, kv.ErrUncertain, out)
		return false
	})
}

// siftAlarms keeps those who go on waiting.
func (r *Replica) siftAlarms(waits func(*alarmAsk) bool) {
	list := r.duties.alarms.waiting
	r.duties.alarms.waiting = nil
	for i := range list {
		if waits(&list[i]) {
			r.duties.alarms.waiting = append(r.duties.alarms.waiting, list[i])
		}
	}
}

// applyAlarm changes an alarm, on all replicas alike.
func (r *Replica) applyAlarm(b engine.Batch, e *raftpb.Entry, body []byte) error {
	c, err := decodeAlarmChange(body)
	if err != nil {
		return err
	}
	raised, changed := c.apply(r.state.alarms.Raised)
	if r.role.leader && e.GetTerm() == r.role.term {
		r.duties.alarms.applied(c.seq, changed)
	}
	if !changed {
		return nil
	}
	r.state.alarms = keyspace.Alarms{Index: e.GetIndex(), Raised: raised}
	if r.cfg.Mutant == mutant.ForgetAlarms {
		return nil
	}
	return b.Set(keyspace.MetaKey(nil, r.cfg.Shard, keyspace.KindAlarms),
		keyspace.AppendAlarms(nil, r.state.alarms))
}

// applied notes what became of a change.
func (a *alarms) applied(seq uint64, changed bool) {
	for i := range a.waiting {
		if a.waiting[i].seq == seq {
			a.waiting[i].applied, a.waiting[i].changed = true, changed
		}
	}
}

// alarmChange is a change of an alarm, as the log holds it.
type alarmChange struct {
	seq   uint64
	raise bool
	alarm kv.Alarm
}

// apply makes of the alarms raised, which it does not touch, those after the
// change.
func (c *alarmChange) apply(raised []kv.Alarm) (after []kv.Alarm, changed bool) {
	i, found := slices.BinarySearchFunc(raised, c.alarm, kv.Alarm.Compare)
	switch {
	case found == c.raise:
		return raised, false
	case c.raise:
		return slices.Insert(slices.Clone(raised), i, c.alarm), true
	}
	return slices.Delete(slices.Clone(raised), i, i+1), true
}

func appendAlarmChange(buf []byte, c alarmChange) []byte {
	buf = binary.AppendUvarint(append(buf, kindAlarm), c.seq)
	buf = appendFlag(buf, c.raise)
	buf = binary.AppendUvarint(buf, uint64(c.alarm.Node))
	return append(buf, byte(c.alarm.Kind))
}

func decodeAlarmChange(body []byte) (c alarmChange, err error) {
	in := recordReader{rest: body}
	c = alarmChange{seq: in.number(), raise: in.flag()}
	c.alarm.Node = kv.NodeID(in.number())
	kind := in.number()
	c.alarm.Kind = kv.AlarmKind(kind)
	if err := in.end("alarm"); err != nil {
		return c, err
	}
	if err := c.alarm.Check(); err != nil || kind != uint64(c.alarm.Kind) {
		return c, fmt.Errorf("%w: log entry: alarm %d of node %d", kv.ErrCorrupt, kind,
			uint64(c.alarm.Node))
	}
	return c, nil
}

// loadAlarms reads what the engine holds.
func loadAlarms(r engine.Reader, shard kv.ShardID) (keyspace.Alarms, error) {
	data, err := r.Get(keyspace.MetaKey(nil, shard, keyspace.KindAlarms))
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return keyspace.Alarms{}, nil
	case err != nil:
		return keyspace.Alarms{}, fmt.Errorf("shard %v: alarms: %w", shard, err)
	}
	return keyspace.ParseAlarms(data)
}
