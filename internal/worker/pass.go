package worker

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// roundsMax bounds how often a pass goes around before it lets others run, passBytesMax
// what it applies: heartbeats leave when it ends.
const (
	roundsMax    = 64
	passBytesMax = 1 << 20
)

// Pass settles everything that the inputs since the last pass have caused, and
// returns what is to be done about it. more tells that it is not finished and
// wants to be called again soon.
func (w *Worker) Pass(now wire.Instant) (eff *Effects, more bool) {
	working := w.work(now)
	working = w.sweep() || working
	busy := true
	w.turns.applied = 0
	for round := 0; busy && round < roundsMax && w.turns.applied < passBytesMax; round++ {
		w.askOracle(now)
		w.runOracle(now)
		w.runCompaction(now)
		w.runAttaches(now)
		w.runLessor(now)
		w.sendDemands(now)
		w.askClosings(now)
		busy = w.settle(now)
		busy = w.deliver(now) || busy
		busy = w.runAsks(now) || busy
		busy = w.runReplies(now) || busy
	}
	w.collect(now)
	w.tellStanding(now)
	eff = new(Effects)
	*eff, w.effects = w.effects, Effects{}
	return eff, busy || working || w.hasWork()
}

// hasWork reports whether reads came in meanwhile that work is to go on with.
func (w *Worker) hasWork() bool {
	for _, shard := range w.order {
		if w.replicas[shard].HasWork() {
			return true
		}
	}
	return false
}

// partsMax is how many parts of long reads are done in a pass.
const partsMax = 4

// work goes on with long reads, a little, the replicas in turn. It reports
// whether there may be more to do.
func (w *Worker) work(now wire.Instant) bool {
	parts := 0
	for range w.order {
		w.turns.read = (w.turns.read + 1) % len(w.order)
		if w.replicas[w.order[w.turns.read]].Work(now, &w.out) {
			parts++
		}
		if parts == partsMax {
			break
		}
	}
	return parts > 0
}

// turns are where in order something was done last that is done in parts.
type turns struct {
	read, sweep int
	// applied are the bytes that this pass has applied.
	applied int
	// sweepsLeft are the parts of sweeps that may be done before the next tick.
	sweepsLeft int
}

// sweepsPerTick keeps sweeping to a part of the time: a part takes a millisecond
// if it comes from the disk, and a tick 50.
const sweepsPerTick = 32

// sweep does a part of a sweep, of the replicas in turn. It reports whether there
// may be more to do before the next tick.
func (w *Worker) sweep() bool {
	for range w.order {
		if w.turns.sweepsLeft == 0 {
			return false
		}
		w.turns.sweep = (w.turns.sweep + 1) % len(w.order)
		if w.replicas[w.order[w.turns.sweep]].Sweep() {
			w.turns.sweepsLeft--
			return true
		}
	}
	return false
}

// settle takes what replicas have ready, commits it, and tells them.
func (w *Worker) settle(now wire.Instant) bool {
	var moved []*replica.Replica
	for _, shard := range w.order {
		r := w.replicas[shard]
		if r.Ready(now, &w.out) {
			moved = append(moved, r)
		}
	}
	if w.out.Batch != nil {
		w.turns.applied += w.out.Batch.Size()
		if err := w.out.Batch.Commit(); err != nil {
			panic(fmt.Sprintf("worker: the engine does not take a batch: %v", err))
		}
		w.out.Batch = nil
	}
	for _, r := range moved {
		r.Committed(now, &w.out)
	}
	return len(moved) > 0
}

// deliver brings answers to the calls of this worker at once, and puts the
// others on their way.
func (w *Worker) deliver(now wire.Instant) bool {
	answers := w.out.Answers
	w.out.Answers = nil
	for i := range answers {
		a := &answers[i]
		if a.Node == w.cfg.Node && Owner(a.Response.ID) == w.cfg.Place.Index {
			w.receiveResponse(now, a.Node, &a.Response)
			continue
		}
		w.send(a.Node, wire.Message{Response: &a.Response})
	}
	return len(answers) > 0
}

func (w *Worker) send(to kv.NodeID, m wire.Message) {
	w.effects.Sends = append(w.effects.Sends, replica.Send{To: to, Message: m})
}

// collect moves what the replicas want done into the effects. Heartbeats of
// the oracle's shard tell everybody how far it is.
func (w *Worker) collect(now wire.Instant) {
	oracle := w.shards.Oracle()
	for _, s := range w.out.Sends {
		m := s.Message.Raft
		if m.Shard == oracle && m.Msg.GetType() == raftpb.MsgHeartbeat {
			m.Allocated = w.lastAllocated(now)
		}
		w.effects.Sends = append(w.effects.Sends, s)
	}
	w.effects.Saves = append(w.effects.Saves, w.out.Saves...)
	w.effects.Streams = append(w.effects.Streams, w.out.Streams...)
	w.out.Sends, w.out.Saves, w.out.Streams = nil, nil, nil
}
