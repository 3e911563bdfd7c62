package worker

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// asking is a request to a shard under way whose answer nobody depends on: a replica's
// to another shard, which asks again by itself, or a coordinator's release of keys, which
// the primary is asked about in the end.
type asking struct {
	id    uint64
	ask   *replica.Ask
	since wire.Instant
	tries int
}

// asks are those under way, by request, and in their order.
type asks struct {
	open map[uint64]*asking
	list []*asking
	// later are releases that a shard could not take, to be sent with the next tick.
	later []*asking
	// silent counts those that nobody answered: others are asked from then on.
	silent int
}

const (
	// askTimeout is how long an answer is waited for.
	askTimeout = legTimeout
	// askTriesMax bounds how often a hint at the leader is followed.
	askTriesMax = 3
	// asksMax bounds what is under way; what is over is lost, and asked again.
	asksMax = 100_000
)

// errand sends a replica's request to the leader of a shard.
func (w *Worker) errand(now wire.Instant, ask *replica.Ask) {
	if len(w.calls.asks.list) >= asksMax {
		return
	}
	w.askOn(&asking{ask: ask, since: now}, now, 0)
}

// askOn sends a request, to a node if one is told.
func (w *Worker) askOn(a *asking, now wire.Instant, to kv.NodeID) {
	if to == 0 {
		to = w.leaderOf(a.ask.Shard, a.tries+w.calls.asks.silent)
	}
	a.tries++
	a.id = w.nextID()
	w.calls.asks.open[a.id] = a
	w.calls.asks.list = append(w.calls.asks.list, a)
	req := a.ask.Request
	req.ID, req.Shard = a.id, a.ask.Shard
	if _, here := w.replicas[req.Shard]; here && to == w.cfg.Node {
		w.serve(now, replica.Origin{Node: w.cfg.Node, ID: req.ID}, &req)
		return
	}
	w.send(to, wire.Message{Request: &req})
}

// runAsks sends what replicas ask of other shards. It reports whether there was
// anything.
func (w *Worker) runAsks(now wire.Instant) bool {
	list := w.out.Asks
	w.out.Asks = nil
	for i := range list {
		w.errand(now, &list[i])
	}
	return len(list) > 0
}

// askAnswered takes the answer to a replica's request, and reports whether it
// was one.
func (w *Worker) askAnswered(now wire.Instant, from kv.NodeID, resp *wire.Response) bool {
	a, ok := w.calls.asks.open[resp.ID]
	if !ok {
		return false
	}
	delete(w.calls.asks.open, resp.ID)
	if resp.Code == wire.CodeNotLeader {
		w.routes.learn(a.ask.Shard, resp.Leader)
		if resp.Leader != 0 && resp.Leader != from && a.tries < askTriesMax {
			w.askOn(a, now, resp.Leader)
			return true
		}
	}
	if resp.Code == wire.CodeNotLeader || resp.Code == wire.CodeRetry {
		w.calls.asks.postpone(a)
	}
	if resp.Code == wire.CodeNotLeader {
		return true
	}
	if r, here := w.replicas[a.ask.From]; here && a.ask.From != kv.SystemShard {
		r.Heard(a.ask, resp)
	}
	return true
}

// postpone has a release sent again, which its shard is about to be able to take: else
// it would keep the keys locked until the primary is asked.
func (a *asks) postpone(what *asking) {
	if what.ask.Request.Resolve != nil && what.ask.From == kv.SystemShard &&
		len(a.later) < asksMax {
		a.later = append(a.later, what)
	}
}

// tickAsks sends again what was postponed, as long as somebody may wait for it, and
// forgets the requests that nobody answered.
func (w *Worker) tickAsks(now wire.Instant) {
	later := w.calls.asks.later
	w.calls.asks.later = nil
	for _, a := range later {
		if now < a.since+askTimeout {
			w.askOn(a, now, 0)
		}
	}
	n := 0
	for n < len(w.calls.asks.list) && w.calls.asks.list[n].since < now-askTimeout {
		w.lostAsk(w.calls.asks.list[n].id)
		n++
	}
	w.calls.asks.list = w.calls.asks.list[n:]
}

// lostAsk gives a request up that nobody answers, and reports whether it was one
// of a replica.
func (w *Worker) lostAsk(id uint64) bool {
	asks := &w.calls.asks
	a, ok := asks.open[id]
	if ok {
		delete(asks.open, id)
		w.routes.forget(a.ask.Shard)
		asks.silent++
	}
	return ok
}
