package node

import (
	"iter"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/transport"
	"github.com/miruvor/miruvor/internal/watch"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// handler takes in what the transport brings.
type handler struct{ n *Node }

var _ transport.Handler = handler{}

// Hello implements transport.Handler. Who may speak was decided by cluster and
// node id; what its directory makes of it, greetings tell.
func (h handler) Hello(wire.Node) error { return nil }

// Receive implements transport.Handler.
func (h handler) Receive(from kv.NodeID, msgs []wire.Message) { h.n.dispatch(from, msgs) }

// Lost implements transport.Handler.
func (h handler) Lost(_ kv.NodeID, msgs []wire.Message) { h.n.lost(msgs) }

// Unreachable implements transport.Handler.
func (h handler) Unreachable(to kv.NodeID) {
	for _, t := range h.n.threads.get() {
		t.inbox.put(event{run: func(now wire.Instant, w *worker.Worker) { w.Unreachable(now, to) }})
	}
	if hub := h.n.hub.Load(); hub != nil {
		hub.unreachable(to)
	}
}

// Snapshot implements transport.Handler.
func (h handler) Snapshot(
	_ kv.NodeID, header wire.SnapshotHeader, pairs iter.Seq2[transport.Pair, error],
) error {
	return h.n.receiveSnapshot(&header, pairs)
}

// dispatch hands messages to the threads that they are for.
func (n *Node) dispatch(from kv.NodeID, msgs []wire.Message) {
	threads := n.threads.get()
	batches := make([][]wire.Message, len(threads))
	for i := range msgs {
		m := &msgs[i]
		if m.Greeting != nil {
			n.greeted(from, m.Greeting)
			continue
		}
		if len(threads) == 0 {
			n.tooEarly(from, m)
			continue
		}
		if m.Response != nil && watch.Owns(m.Response.ID) {
			if h := n.hub.Load(); h != nil {
				h.receive(from, m.Response)
			}
			continue
		}
		to := owner(m, len(threads))
		if to < len(threads) {
			batches[to] = append(batches[to], *m)
		}
	}
	for i, batch := range batches {
		if len(batch) > 0 {
			threads[i].inbox.putSoon(event{from: from, messages: batch})
		}
	}
}

// owner is the index of the thread that a message is for.
func owner(m *wire.Message, count int) int {
	place := worker.Place{Count: count}
	switch {
	case m.Raft != nil:
		return place.Of(m.Raft.Shard)
	case m.Request != nil:
		return place.Of(m.Request.Shard)
	}
	return worker.Owner(m.Response.ID)
}

// tooEarly turns requests away while the node does not know its role.
func (n *Node) tooEarly(from kv.NodeID, m *wire.Message) {
	if m.Request != nil {
		n.transport.Send(from, wire.Message{Response: &wire.Response{
			ID: m.Request.ID, Code: wire.CodeNotLeader,
		}})
	}
}

// send puts messages on their way to a node, which may be this one.
func (n *Node) send(to kv.NodeID, msgs []wire.Message) {
	if to == n.membership.self.ID {
		n.dispatch(to, msgs)
		return
	}
	if dropped := n.transport.Send(to, msgs...); dropped > 0 {
		n.lost(msgs[len(msgs)-dropped:])
		n.refuseLost(to, msgs[len(msgs)-dropped:])
	}
}

// refuseLost tells a node of answers for which there was no room on the way to it: who
// waits for one would ask again, and make it worse. What was read had no effect.
func (n *Node) refuseLost(to kv.NodeID, msgs []wire.Message) {
	for i := range msgs {
		answer := msgs[i].Response
		if answer == nil || answer.Range == nil {
			continue
		}
		n.transport.Send(to, wire.Message{Response: &wire.Response{
			ID: answer.ID, Code: wire.CodeTooManyRequests,
			Text: kv.ErrTooManyRequests.Error() + ": too many answers are on their way",
		}})
	}
}

// lost hands requests back that never left this node.
func (n *Node) lost(msgs []wire.Message) {
	threads := n.threads.get()
	for i := range msgs {
		m := &msgs[i]
		if m.Request == nil {
			continue
		}
		if h := n.hub.Load(); h != nil && watch.Owns(m.Request.ID) {
			h.lost(m.Request)
			continue
		}
		if at := worker.Owner(m.Request.ID); at < len(threads) {
			threads[at].inbox.put(event{run: func(now wire.Instant, w *worker.Worker) {
				w.Lost(now, m)
			}})
		}
	}
}

// observe tells the other threads how far the oracle is.
func (n *Node) observe(from *thread, last kv.Revision) {
	for _, t := range n.threads.get() {
		if t != from {
			t.inbox.put(event{run: func(now wire.Instant, w *worker.Worker) {
				w.Observe(now, last)
			}})
		}
	}
}

// flushed follows a flush of the engine: the log may forget something.
func (n *Node) flushed() {
	for _, t := range n.threads.get() {
		t.inbox.put(event{run: func(_ wire.Instant, w *worker.Worker) {
			if err := w.Truncate(); err != nil {
				n.fail(err)
			}
		}})
	}
}
