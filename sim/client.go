package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// client does one operation after the other, each at its own node or now and
// then at another. It never repeats one: what failed is simply over.
type client struct {
	c    *cluster
	id   int
	node kv.NodeID
	// restless clients change their node all the time.
	restless bool
	// task is what the client works at.
	task task
	// known is what the client last saw of a key, to compare with.
	known map[string]kv.KeyValue
	// revision is the highest that the client saw.
	revision kv.Revision
	// again is what it asks once more, because nobody told what became of it.
	again *Op
}

func newClient(c *cluster, id int) *client {
	return &client{
		c: c, id: id, node: c.order[id%len(c.order)], restless: id%3 == 2,
		task: c.cfg.Load.taskOf(id), known: map[string]kv.KeyValue{},
	}
}

// begin does the next operation after a while, as long as there is time.
func (cl *client) begin() {
	c := cl.c
	think := c.around(c.cfg.Load.Think)
	if c.chance(0.3) {
		think = 0
	}
	c.after(think, func() {
		if !c.healed {
			cl.next()
		}
	})
}

func (cl *client) next() {
	c := cl.c
	if cl.restless || c.chance(0.02) {
		cl.node = c.order[c.rng.IntN(len(c.order))]
	}
	n := c.nodes[cl.node]
	if !n.serves() {
		cl.node = c.order[c.rng.IntN(len(c.order))]
		c.after(c.between(time.Millisecond, 20*time.Millisecond), cl.begin)
		return
	}
	op := cl.secondTry()
	if op == nil {
		op = cl.task.draw(cl)
	}
	op.ID, op.Client, op.Node = c.nextOp(), cl.id, cl.node
	cl.name(op)
	c.ask(n, op)
}

// secondTry is what the client asks once more, nil for nothing. It may then happen twice:
// a client that wants to know has to compare.
func (cl *client) secondTry() *Op {
	old := cl.again
	cl.again = nil
	if old == nil {
		return nil
	}
	return &Op{Again: old.ID, Txn: old.Txn, Range: old.Range}
}

// nextOp is the number of the operation that begins next.
func (c *cluster) nextOp() uint64 { return uint64(len(c.history.Ops) + 1) }

// ask sends an operation to a node. Who waits for it hears of it in answered.
func (c *cluster) ask(n *node, op *Op) {
	op.Asked = c.now
	c.history.begin(op)
	c.waiting[op.ID] = op
	n.note("ask", op.ID, uint64(op.Client))
	if c.trace.wordy() {
		c.trace.sayf("%v", op)
	}
	patience := c.between(300*time.Millisecond, 4*time.Second)
	if !c.healed && c.chance(0.1) {
		patience = c.between(time.Millisecond, 100*time.Millisecond)
	}
	if c.cfg.Sizes.Keep > 0 {
		patience = min(patience, c.cfg.Sizes.Keep/5)
	}
	if c.calm || c.healed {
		patience += 2 * time.Second // who queues for keys on a slow network needs it
	}
	t := n.threads[c.rng.IntN(len(n.threads))]
	t.post(input{call: func(now wire.Instant) {
		t.worker.Submit(now, op.request(now+wire.Instant(patience)))
	}})
	c.after(n.local(patience)+500*time.Millisecond, func() {
		c.finish(op, worker.Reply{Err: errGaveUp})
	})
}

// errGaveUp is what a client knows of an operation that nobody answers.
var errGaveUp = fmt.Errorf("%w: the client gave up", kv.ErrUncertain)

// replied takes a worker's reply on its way to the client.
func (c *cluster) replied(n *node, r *worker.Reply) {
	op := c.waiting[r.ID]
	if op == nil || op.Node != n.id {
		return
	}
	reply := *r
	c.after(c.between(0, 200*time.Microsecond), func() { c.finish(op, reply) })
}

// lostNode ends what was asked of a node that died.
func (c *cluster) lostNode(n *node) {
	for _, op := range c.history.Ops {
		if op.Node == n.id && c.waiting[op.ID] != nil {
			c.after(c.around(time.Millisecond), func() {
				c.finish(op, worker.Reply{Err: errConnection})
			})
		}
	}
}

var errConnection = fmt.Errorf("%w: the connection broke", kv.ErrUncertain)

// finish ends an operation, once.
func (c *cluster) finish(op *Op, r worker.Reply) {
	if c.waiting[op.ID] == nil {
		return
	}
	delete(c.waiting, op.ID)
	op.Answered = c.now
	if !op.take(&r) {
		c.failf("a reply says nothing: %v", op)
	}
	c.history.end(op)
	c.probe.finished(op)
	c.checkReason(op)
	c.checkPrompt(op)
	rev := kv.Revision(0)
	if r.Err == nil {
		rev = op.Revision()
	}
	c.trace.note("done", uint64(op.Node), op.ID, uint64(rev))
	if c.trace.wordy() {
		c.trace.sayf("%v", op)
	}
	if op.Client < len(c.clients) {
		cl := c.clients[op.Client]
		cl.learn(op)
		cl.begin()
	}
	if op.then != nil {
		op.then()
	}
}

// request is what a worker is asked to do, until a deadline.
func (o *Op) request(deadline wire.Instant) worker.Request {
	req := worker.Request{ID: o.ID, Txn: o.Txn, Range: o.Range, Deadline: deadline}
	if o.Compact != nil {
		req.Compact = &wire.Compact{Revision: o.Compact.Revision}
	}
	if o.Alarm != nil {
		ask := o.Alarm.Request
		req.Alarm = &ask
	}
	if o.Lease != nil {
		ask := o.Lease.Request
		req.Lease, req.LeaseKeys = &ask, o.Lease.Keys
	}
	return req
}

// take takes the reply, and reports whether it is one.
func (o *Op) take(r *worker.Reply) bool {
	o.TxnResponse, o.RangeResponse, o.Err = r.Txn, r.Range, r.Err
	switch {
	case r.Err != nil:
		return true
	case o.Compact != nil:
		o.Compact.Response = r.Compacted
		return r.Compacted != nil
	case o.Lease != nil:
		o.Lease.Response = r.Lease
		return r.Lease != nil
	case o.Alarm != nil:
		o.Alarm.Response = r.Alarms
		return r.Alarms != nil
	}
	return r.Txn != nil || r.Range != nil
}

// learn remembers what an answer told.
func (cl *client) learn(op *Op) {
	if op.Err != nil {
		if cl.c.chance(0.3) {
			cl.node = cl.c.order[cl.c.rng.IntN(len(cl.c.order))]
		}
		if _, any := cl.task.(anything); any && op.Fate() == Unknown && cl.c.chance(0.5) {
			cl.again = op
		}
		return
	}
	cl.revision = max(cl.revision, op.Revision())
	if op.RangeResponse != nil {
		cl.learnRange(op.RangeResponse)
		return
	}
	cl.learnResults(op.TxnResponse.Results)
}

func (cl *client) learnResults(results []kv.Result) {
	for _, result := range results {
		switch {
		case result.Range != nil:
			cl.learnRange(result.Range)
		case result.Txn != nil:
			cl.learnResults(result.Txn.Results)
		}
	}
}

func (cl *client) learnRange(r *kv.RangeResponse) {
	for _, pair := range r.KVs {
		cl.known[string(pair.Key)] = pair
	}
}
