package worker

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Standing is what a node knows of the system shard.
type Standing struct {
	// Leader leads it, 0 if none is known; Term is its term.
	Leader kv.NodeID
	Term   uint64
	// Alarms are those of the cluster. They must not be changed.
	Alarms []kv.Alarm
}

// outlook is what this worker, which serves the system shard, knows of it: from
// its own replica, or from the answers of the leader, whom it asks every now and then
// if the node has none.
type outlook struct {
	// told is what was passed on last.
	told Standing
	// alarms are the newest that are known.
	alarms keyspace.Alarms
	// term is that of the leader that answered last, at heardAt.
	term    uint64
	heardAt wire.Instant
	// asking says that a question is under way; the next is due at askAt.
	asking bool
	askAt  wire.Instant
}

const (
	// outlookPause lies between two questions, and between two tries.
	outlookPause = wire.Instant(500 * time.Millisecond)
	// outlookMax is how long a leader is believed in that is not heard of.
	outlookMax = 3 * outlookPause
)

// tellStanding passes on what is known of the system shard, if it is news.
func (w *Worker) tellStanding(now wire.Instant) {
	if w.cfg.Place.Of(kv.SystemShard) != w.cfg.Place.Index {
		return
	}
	o := &w.office.outlook
	s := Standing{Term: o.term}
	if sys := w.system(); sys != nil {
		o.learn(sys.Alarms())
		s.Leader, s.Term = sys.Leader(), sys.Term()
	} else if now-o.heardAt < outlookMax && o.heardAt != 0 {
		s.Leader = w.routes.leaders[kv.SystemShard]
	}
	s.Alarms = o.alarms.Raised
	same := slices.Equal(s.Alarms, o.told.Alarms)
	if same && s.Leader == o.told.Leader && s.Term == o.told.Term {
		return
	}
	o.told = s
	w.effects.Standing = &s
}

// Standing is what this worker knows of the system shard, if it serves it. It is
// for looking at, between passes.
func (w *Worker) Standing() Standing { return w.office.outlook.told }

// learn takes alarms, unless newer ones are known.
func (o *outlook) learn(a keyspace.Alarms) {
	if a.Index > o.alarms.Index {
		o.alarms = a
	}
}

// alarmDone takes an answer about alarms into its call.
func (w *Worker) alarmDone(now wire.Instant, c *call, resp *wire.Alarms) {
	if resp == nil {
		w.finish(c, Reply{Err: fmt.Errorf("%w: an answer without alarms", kv.ErrUncertain)})
		return
	}
	o := &w.office.outlook
	o.learn(keyspace.Alarms{Index: resp.Index, Raised: resp.Raised})
	o.term, o.heardAt = max(o.term, resp.Term), now
	w.finish(c, Reply{Alarms: resp})
}

// tickOutlook asks the leader of the system shard how it stands, if this node
// has no replica to tell.
func (w *Worker) tickOutlook(now wire.Instant) {
	o := &w.office.outlook
	serves := w.cfg.Place.Of(kv.SystemShard) == w.cfg.Place.Index
	if !serves || w.system() != nil || o.asking || now < o.askAt {
		return
	}
	o.asking = true
	req := Request{Alarm: &wire.Alarm{Op: wire.AlarmList}, Deadline: now + outlookMax}
	w.internal(now, kv.SystemShard, req, func(now wire.Instant, _ Reply) {
		o.asking, o.askAt = false, now+outlookPause // alarmDone has taken what it tells
	})
}
