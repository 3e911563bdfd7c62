package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// AlarmOp is something that a client asked about alarms.
type AlarmOp struct {
	Request  wire.Alarm
	Response *wire.Alarms
}

func (o *AlarmOp) String() string {
	verbs := [...]string{"list", "raise", "clear"}
	text := fmt.Sprintf("alarms: %s", verbs[o.Request.Op])
	if o.Request.Op != wire.AlarmList {
		text += fmt.Sprintf(" %v", o.Request.Alarm)
	}
	if r := o.Response; r != nil {
		text += fmt.Sprintf(" = changed %v, %v as of %d", r.Changed, r.Raised, r.Index)
	}
	return text
}

// warden is a client that raises alarms, clears them, and looks which there are.
type warden struct {
	c  *cluster
	id int
}

// wardenThink is the mean pause between two operations of a warden.
const wardenThink = 100 * time.Millisecond

// beginWardens begins with the clients that see to alarms.
func (c *cluster) beginWardens() {
	for i := range c.cfg.Load.Wardens {
		w := &warden{c: c, id: len(c.clients) + 300 + i}
		w.begin()
	}
}

// begin does the next operation after a while, as long as there is time.
func (w *warden) begin() {
	c := w.c
	c.after(c.around(wardenThink), func() {
		if !c.healed {
			w.next()
		}
	})
}

func (w *warden) next() {
	c := w.c
	n := c.anybody()
	if !n.serves() {
		w.begin()
		return
	}
	if c.chance(0.2) {
		c.lookAtStatus(n)
		w.begin()
		return
	}
	op := w.draw()
	op.ID, op.Client, op.Node = c.nextOp(), w.id, n.id
	op.then = w.begin
	c.ask(n, op)
}

// draw raises or clears one of few alarms, or lists them.
func (w *warden) draw() *Op {
	c := w.c
	req := wire.Alarm{Alarm: kv.Alarm{
		Node: c.order[c.rng.IntN(min(2, len(c.order)))], Kind: kv.AlarmNoSpace,
	}}
	if c.chance(0.3) {
		req.Alarm.Kind = kv.AlarmCorrupt
	}
	switch n := c.rng.IntN(10); {
	case n < 3:
		req.Op = wire.AlarmRaise
	case n < 5:
		req.Op = wire.AlarmClear
	default:
		req.Alarm = kv.Alarm{}
	}
	return &Op{Alarm: &AlarmOp{Request: req}}
}

// alarmsKnown reports whether all nodes know of the same alarms, and who leads.
func (c *cluster) alarmsKnown() bool {
	sys := c.leader(kv.SystemShard)
	if sys == nil {
		return false
	}
	for _, id := range c.order {
		st := c.nodes[id].threadOf(kv.SystemShard).worker.Standing()
		if st.Leader != sys.Leader() || st.Term != sys.Term() ||
			!slices.Equal(st.Alarms, sys.Alarms().Raised) {
			return false
		}
	}
	return true
}
