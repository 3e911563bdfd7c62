package worker

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mutant"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// leg is the part of a call that one shard answers.
type leg struct {
	id    uint64
	call  *call
	shard kv.ShardID
	// key is one of those that the leg is about, to find its shard again.
	key []byte
	// req is what is asked, but for its ID and Shard.
	req wire.Request
	// hint is who leads according to the last answer, 0 if it did not tell.
	hint kv.NodeID
	// to is the node that was asked last; sent says that it may be at work.
	to   kv.NodeID
	sent bool
	done bool
	// leaderless says that the last answer knew of no leader.
	leaderless bool
	tries      int
	pause      wire.Instant
	// retryAt is when to ask again, 0 for not at all.
	retryAt wire.Instant
}

// writes reports whether asking twice could do something twice.
func (l *leg) writes() bool {
	return l.req.Compact != nil || l.req.Lease.Once() || l.req.Alarm.Once() ||
		l.req.Txn != nil && !mvcc.ReadOnly(l.req.Txn)
}

// inLine reports whether silence may mean that others are served first.
func (l *leg) inLine() bool { return l.req.Prepare != nil && l.req.Prepare.Wait }

func (l *leg) serializable() bool { return l.req.Range != nil && l.req.Range.Serializable }

// start adds a leg to its call and asks.
func (w *Worker) start(now wire.Instant, c *call, l *leg) {
	l.call = c
	c.legs = append(c.legs, l)
	w.ask(now, l)
}

// ask sends a leg to the node that should know. Each try has an id of its own,
// so that a late answer to an earlier one is not taken for it.
func (w *Worker) ask(now wire.Instant, l *leg) {
	delete(w.calls.open, l.id)
	l.id = w.nextID()
	w.calls.open[l.id] = l
	l.to, l.hint = w.target(l), 0
	l.tries++
	l.sent = true
	l.retryAt = 0
	if !l.writes() {
		l.retryAt = now + l.timeout()
	}
	req := l.req
	req.ID, req.Shard = l.id, l.shard
	if _, here := w.replicas[l.shard]; here && l.to == w.cfg.Node {
		w.serve(now, replica.Origin{Node: w.cfg.Node, ID: l.id}, &req)
		return
	}
	w.send(l.to, wire.Message{Request: &req})
}

// timeout is how long an answer is waited for. A read may just take long, and each
// time it is asked for again makes it longer for all.
func (l *leg) timeout() wire.Instant {
	if l.req.Range == nil {
		return legTimeout
	}
	return legTimeout << min(l.tries-1, legDoublingsMax)
}

// target is the node to ask: for a serializable read any that holds the
// shard, this one first.
func (w *Worker) target(l *leg) kv.NodeID {
	switch {
	case l.hint != 0:
		return l.hint
	case !l.serializable():
		return w.leaderOf(l.shard, l.tries)
	}
	nodes := w.nodesOf(l.shard)
	for _, node := range nodes {
		if node == w.cfg.Node && l.tries%2 == 0 {
			return node
		}
	}
	return nodes[l.tries%len(nodes)]
}

// receiveResponse takes an answer to something that this worker asked.
func (w *Worker) receiveResponse(now wire.Instant, from kv.NodeID, resp *wire.Response) {
	l, ok := w.calls.open[resp.ID]
	switch {
	case ok:
		w.answerLeg(now, from, l, resp)
	case w.pushed(now, from, resp):
	case w.takeClosed(now, from, resp):
	case w.askAnswered(now, from, resp):
	case resp.ID == w.routes.mapAsked:
		w.receiveMap(resp)
	default:
		w.receiveOracle(now, from, resp)
	}
}

func (w *Worker) answerLeg(now wire.Instant, from kv.NodeID, l *leg, resp *wire.Response) {
	l.sent = false
	switch resp.Code {
	case wire.CodeOK:
		delete(w.calls.open, l.id)
		l.done = true
		if !l.serializable() {
			w.routes.learn(l.shard, from)
		}
		w.legDone(now, l, resp)
	case wire.CodeNotLeader:
		w.redirect(now, from, l, resp.Leader)
	case wire.CodeWrongShard:
		w.refreshMap(now)
		w.pauseLeg(now, l)
	case wire.CodeRetry:
		w.pauseLeg(now, l)
	case wire.CodeLeaseInactive:
		w.leaseInactive(now, l, resp)
	default:
		if !w.crossFailed(now, l, resp) && !w.readAgain(now, l, resp) &&
			!w.readOnLeaders(now, l, resp) {
			w.finish(l.call, Reply{Err: resp.Err()})
		}
	}
}

// redirect follows a hint at once if it leads on, else waits a little.
func (w *Worker) redirect(now wire.Instant, from kv.NodeID, l *leg, leader kv.NodeID) {
	l.leaderless, l.hint = leader == 0, leader
	w.routes.learn(l.shard, leader)
	if leader != 0 && leader != from && l.tries%3 != 0 {
		w.ask(now, l)
		return
	}
	w.pauseLeg(now, l)
}

func (w *Worker) pauseLeg(now wire.Instant, l *leg) {
	delete(w.calls.open, l.id)
	l.pause = min(max(2*l.pause, retryMin), retryMax)
	l.retryAt = now + l.pause
}

// retryIfDue asks again where that can't do harm.
func (w *Worker) retryIfDue(now wire.Instant, l *leg) {
	if l.done || l.retryAt == 0 || now < l.retryAt {
		return
	}
	if l.sent && !(l.inLine() && l.tries%2 != 0) {
		w.routes.forget(l.shard)
	}
	if s := w.shards.Locate(l.key); s != nil && l.shard != kv.SystemShard {
		l.shard = s.ID
	}
	w.ask(now, l)
}

// Lost tells that a request never left this node: it can be sent again.
func (w *Worker) Lost(now wire.Instant, m *wire.Message) {
	if m.Request == nil {
		return
	}
	if p, _ := w.pushOf(m.Request.ID); p != nil {
		w.pausePush(now, p)
		return
	}
	if w.lostClosing(now, m.Request.ID) || w.lostAsk(m.Request.ID) {
		return
	}
	l, ok := w.calls.open[m.Request.ID]
	if !ok && m.Request.Oracle == nil {
		return // nobody waits for it any more
	}
	if !ok {
		w.demands.client.Fail(now, m.Request.ID)
		w.routes.forget(w.shards.Oracle())
		w.pauseOracle(now)
		return
	}
	l.sent = false
	w.routes.forget(l.shard)
	w.pauseLeg(now, l)
}

// lostNode ends the wait for a node that can't be reached. What it was to
// read is asked elsewhere; what it was to write may have happened.
func (w *Worker) lostNode(now wire.Instant, node kv.NodeID) {
	for shard, leader := range w.routes.leaders {
		if leader == node {
			delete(w.routes.leaders, shard)
		}
	}
	w.lostPushes(now, node)
	w.lostClosings(now, node)
	for _, c := range w.calls.list {
		for _, l := range c.legs {
			if c.done || l.done || !l.sent || l.to != node {
				continue
			}
			if !l.writes() || w.cfg.Mutant == mutant.RetryUncertain {
				w.pauseLeg(now, l)
				continue
			}
			w.finish(c, Reply{Err: kv.ErrUncertain})
		}
	}
}

// legDone takes a leg's result into its call.
func (w *Worker) legDone(now wire.Instant, l *leg, resp *wire.Response) {
	c := l.call
	switch {
	case c.cross != nil:
		w.crossed(now, l, resp)
	case l.req.Txn != nil:
		w.finish(c, Reply{Txn: resp.Txn})
	case l.req.Lease != nil:
		w.leaseDone(now, l, resp.Lease)
	case l.req.Compact != nil:
		w.finish(c, Reply{Compacted: resp.Compacted})
	case l.req.Alarm != nil:
		w.alarmDone(now, c, resp.Alarms)
	case c.plan != nil:
		w.step(now, c, l, resp.Range)
	default:
		w.finish(c, Reply{Range: resp.Range})
	}
}
