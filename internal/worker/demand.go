package worker

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/oracle"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// demands is this worker's end of the line to the oracle: the needs of its
// replicas and of its own reads over several shards, in few requests.
type demands struct {
	client oracle.Client
	// pauseUntil keeps from asking in vain while there is no leader.
	pauseUntil wire.Instant
	pause      wire.Instant
	// tries counts the requests sent, so that another node is asked each
	// time while nobody knows the leader.
	tries    int
	closings closings
	// held says that the writes of the replicas here wait: see Hold.
	held bool
}

// askOracle gathers what is needed and sends it, or hands it to the office
// next door.
func (w *Worker) askOracle(now wire.Instant) {
	d := &w.demands
	if now < d.pauseUntil {
		return
	}
	switch r := w.alone(); {
	case r != nil:
		r.Number(now, &w.out)
	case d.client.Room():
		for _, shard := range w.order {
			w.gather(now, w.replicas[shard])
		}
	}
	w.sendDemands(now)
}

// sendDemands asks the oracle for all that waits, if it is time to.
func (w *Worker) sendDemands(now wire.Instant) {
	d := &w.demands
	count, ok := d.client.Next()
	if !ok || now < d.pauseUntil {
		return
	}
	shard := w.shards.Oracle()
	leader := w.leaderOf(shard, d.tries)
	d.tries++
	id := w.nextID()
	d.client.Sent(id, now)
	req := wire.Request{ID: id, Shard: shard, Oracle: &wire.OracleRequest{Count: count}}
	if leader == w.cfg.Node && w.replicas[shard] != nil {
		w.serve(now, replica.Origin{Node: w.cfg.Node, ID: id}, &req)
		return
	}
	w.send(leader, wire.Message{Request: &req})
}

// gather takes what a replica wants into the next request.
func (w *Worker) gather(now wire.Instant, r *replica.Replica) {
	if _, ok := r.Want(); !ok {
		return
	}
	ticket := r.Asked()
	w.demands.client.Add(oracle.Demand{
		Count: ticket.Count(),
		Granted: func(at wire.Instant, base kv.Revision) {
			r.Numbered(at, ticket, base, &w.out)
		},
		Lost: func(wire.Instant) { r.Unasked(ticket) },
	})
}

// receiveOracle takes the oracle's answer.
func (w *Worker) receiveOracle(now wire.Instant, from kv.NodeID, resp *wire.Response) {
	d := &w.demands
	if !d.client.Pending(resp.ID) {
		return // an answer to something that was given up
	}
	if resp.Oracle != nil {
		d.pause = 0
		w.routes.learn(w.shards.Oracle(), from)
		d.client.Answer(now, resp.ID, resp.Oracle.Base)
		w.Observe(now, resp.Oracle.Base-1)
		return
	}
	if resp.Code == wire.CodeNotLeader {
		w.routes.learn(w.shards.Oracle(), resp.Leader)
	}
	d.client.Fail(now, resp.ID)
	w.pauseOracle(now)
}

func (w *Worker) pauseOracle(now wire.Instant) {
	d := &w.demands
	d.pause = min(max(2*d.pause, retryMin), retryMax)
	d.pauseUntil = now + d.pause
}

// tickOracle gives up requests that nobody answers, and spreads what the
// oracle next door has handed out.
func (w *Worker) tickOracle(now wire.Instant) {
	if w.demands.client.Expire(now, oracleTimeout) > 0 {
		w.routes.forget(w.shards.Oracle())
	}
	if last := w.lastAllocated(now); last > 0 {
		w.Observe(now, last)
		w.effects.Observed = max(w.effects.Observed, last)
	}
}
