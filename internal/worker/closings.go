package worker

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// closings are the questions to leaders elsewhere to close what feeds wait for
// here. There are none while nobody watches.
type closings struct {
	asks map[kv.ShardID]*closing
	// open are the shards asked for, by request.
	open map[uint64]kv.ShardID
}

// closing is a question about one shard, or the pause before the next.
type closing struct {
	id      uint64
	to      kv.NodeID
	since   wire.Instant
	tries   int
	retryAt wire.Instant
}

// closeTimeout is how long a leader may take: it answers within a second.
const closeTimeout = wire.Instant(1500 * time.Millisecond)

// askClosings asks for what is wanted and not asked for.
func (w *Worker) askClosings(now wire.Instant) {
	for _, shard := range w.order {
		r := w.replicas[shard]
		if rev := r.Wanted(); rev != 0 && !r.Leading() {
			w.askClosing(now, shard, rev)
		}
	}
}

func (w *Worker) askClosing(now wire.Instant, shard kv.ShardID, rev kv.Revision) {
	c := &w.demands.closings
	q := c.asks[shard]
	if q == nil {
		if c.asks == nil {
			c.asks, c.open = map[kv.ShardID]*closing{}, map[uint64]kv.ShardID{}
		}
		q = &closing{}
		c.asks[shard] = q
	}
	switch {
	case q.id != 0 && now-q.since < closeTimeout, now < q.retryAt:
		return
	case q.id != 0:
		delete(c.open, q.id)
		w.routes.forget(shard)
	}
	to := w.leaderOf(shard, q.tries)
	q.tries++
	if to == w.cfg.Node {
		q.id, q.retryAt = 0, now+retryMin
		return
	}
	q.id, q.to, q.since = w.nextID(), to, now
	c.open[q.id] = shard
	w.send(to, wire.Message{Request: &wire.Request{
		ID: q.id, Shard: shard, Close: &wire.Close{Revision: rev},
	}})
}

// closingOf takes a question off the list that is answered or lost.
func (w *Worker) closingOf(id uint64) (*closing, *replica.Replica) {
	c := &w.demands.closings
	shard, ok := c.open[id]
	if !ok {
		return nil, nil
	}
	delete(c.open, id)
	q := c.asks[shard]
	q.id = 0
	return q, w.replicas[shard]
}

// takeClosed takes the answer to a question, and reports whether it was one.
func (w *Worker) takeClosed(now wire.Instant, from kv.NodeID, resp *wire.Response) bool {
	q, r := w.closingOf(resp.ID)
	switch {
	case q == nil:
		return false
	case resp.Closed != nil:
		w.routes.learn(r.Shard(), from)
		r.TakeClosed(resp.Closed)
		return true
	case resp.Code == wire.CodeNotLeader:
		w.routes.learn(r.Shard(), resp.Leader)
	}
	q.retryAt = now + retryMin
	return true
}

// lostClosing takes note of a question that never left this node.
func (w *Worker) lostClosing(now wire.Instant, id uint64) bool {
	q, r := w.closingOf(id)
	if q != nil {
		w.routes.forget(r.Shard())
		q.retryAt = now + retryMin
	}
	return q != nil
}

// lostClosings ends the wait for a node that can't be reached.
func (w *Worker) lostClosings(now wire.Instant, node kv.NodeID) {
	for _, shard := range w.order {
		if q := w.demands.closings.asks[shard]; q != nil && q.id != 0 && q.to == node {
			w.lostClosing(now, q.id)
		}
	}
}
