package watch

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// oracle is the hub's line to the oracle: who asks what is current now, in one
// request at a time.
type oracle struct {
	// waiting came after the request under way was sent, asked before.
	waiting, asked questions
	id             uint64
	to             kv.NodeID
	since          wire.Instant
	pauseUntil     wire.Instant
	// leader is who answered last, 0 if unknown; tries counts on through the
	// nodes otherwise.
	leader kv.NodeID
	tries  int
	// check says that groups are to be held against the answer; that was last
	// done at checked.
	check   bool
	checked wire.Instant
	// floor is the highest compaction floor that was told.
	floor kv.Revision
}

type questions struct {
	watches    []*watch
	progresses []*progress
}

func (q *questions) empty() bool { return len(q.watches)+len(q.progresses) == 0 }

// await has a watch wait for what is current now.
func (h *Hub) await(w *watch) {
	w.state = asking
	h.oracle.waiting.watches = append(h.oracle.waiting.watches, w)
}

// askOracle sends a request, if there is something to ask.
func (h *Hub) askOracle() {
	o := &h.oracle
	if o.id != 0 || o.waiting.empty() && !o.check || h.now < o.pauseUntil {
		return
	}
	o.asked, o.waiting = o.waiting, questions{}
	o.id, o.since, o.to = h.nextID(), h.now, o.leader
	shard := h.cfg.Map.Oracle()
	if o.to == 0 {
		o.to = h.nodeOf(h.cfg.Map.Shard(shard).Nodes, o.tries)
	}
	h.send(o.to, &wire.Request{ID: o.id, Shard: shard, Oracle: &wire.OracleRequest{}})
}

// failed has everybody ask again, another node.
func (o *oracle) failed(now wire.Instant) {
	o.id, o.leader = 0, 0
	o.tries++
	o.pauseUntil = now + retryPause
	o.waiting.watches = append(o.asked.watches, o.waiting.watches...)
	o.waiting.progresses = append(o.asked.progresses, o.waiting.progresses...)
	o.asked = questions{}
}

// receiveOracle takes the answer.
func (h *Hub) receiveOracle(from kv.NodeID, resp *wire.Response) {
	o := &h.oracle
	if resp.Code != wire.CodeOK || resp.Oracle == nil {
		o.failed(h.now)
		if resp.Leader != 0 && resp.Leader != from && o.tries%3 != 0 {
			o.leader, o.pauseUntil = resp.Leader, 0
		}
		return
	}
	o.id, o.leader, o.tries = 0, from, 0
	asked := o.asked
	o.asked = questions{}
	o.floor = max(o.floor, resp.Oracle.Compacted)
	current := resp.Oracle.Base - 1
	if o.check {
		o.check, o.checked = false, h.now
		for _, g := range h.groups.sorted() {
			g.require(current)
		}
	}
	for _, w := range asked.watches {
		if w.state == asking {
			h.told(w, current)
		}
	}
	for _, p := range asked.progresses {
		h.toldProgress(p, current)
	}
}

// told begins a watch, or goes on with one: current was current after it was
// added, or had room again. What is compacted is refused here, because the replica
// that it is asked of may not have heard of the compaction.
func (h *Hub) told(w *watch, current kv.Revision) {
	w.level = current
	switch {
	case !w.begun && w.req.From == 0:
		w.pos = current
		h.begun(w.stream.id, w.id, nil)
	case w.pos+1 < h.oracle.floor:
		h.end(w, h.oracle.floor)
		return
	}
	w.begun = true
	if w.pos < current || !h.join(w, current) {
		h.catchUp(w)
	}
}
