package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// thread runs one worker: inputs queue up, then it takes all of them, reads
// the clock, and makes a pass.
type thread struct {
	node *node
	// boot is the life of the node that the thread is of, and ends with.
	boot      int
	worker    *worker.Worker
	inbox     []input
	scheduled bool
	ticking   bool
	// held are the effects of a pass after which the process was stopped.
	held *worker.Effects
	seen map[kv.ShardID]seen
}

// input is one thing that a thread has to take; exactly one of call, saved,
// lost, unreachable and message is set.
type input struct {
	call        func(now wire.Instant)
	saved       *replica.Replica
	lost        *wire.Message
	unreachable kv.NodeID
	from        kv.NodeID
	message     wire.Message
}

func (t *thread) post(in input) {
	t.inbox = append(t.inbox, in)
	t.wake(t.node.c.between(0, 20*time.Microsecond))
}

// lost implements sender.
func (t *thread) lost(m *wire.Message) { t.post(input{lost: m}) }

func (t *thread) wake(d time.Duration) {
	if t.scheduled || t.boot != t.node.boot {
		return
	}
	t.scheduled = true
	t.node.whenRunning(d, t.run)
}

func (t *thread) run() {
	t.scheduled = false
	if held := t.held; held != nil {
		t.held = nil
		t.carryOut(held)
		t.wake(0)
		return
	}
	inputs := t.inbox
	t.inbox = nil
	now := t.node.now()
	for i := range inputs {
		t.take(now, &inputs[i])
	}
	t.pass(now)
}

func (t *thread) take(now wire.Instant, in *input) {
	switch {
	case in.call != nil:
		in.call(now)
	case in.saved != nil:
		t.worker.Saved(now, in.saved)
	case in.lost != nil:
		t.worker.Lost(now, in.lost)
	case in.unreachable != 0:
		t.worker.Unreachable(now, in.unreachable)
	default:
		t.worker.Receive(now, in.from, in.message)
	}
}

func (t *thread) pass(now wire.Instant) {
	t.node.c.reap(t)
	eff, more := t.worker.Pass(now)
	t.node.c.observe(t)
	t.node.c.regard(t)
	if t.node.c.hiccup(t.node) {
		t.held = eff
		t.wake(0)
		return
	}
	t.carryOut(eff)
	if more {
		t.wake(0)
	}
}

// carryOut sees to the effects of a pass, kind by kind in any order. The node
// may die after each.
func (t *thread) carryOut(eff *worker.Effects) {
	n := t.node
	boot := n.boot
	kinds := [...]func(alive func() bool){
		func(alive func() bool) { t.save(eff, alive) },
		func(alive func() bool) { t.send(eff, alive) },
		func(alive func() bool) { t.reply(eff, alive) },
		func(alive func() bool) { t.stream(eff, alive) },
	}
	alive := func() bool {
		if n.boot == boot && n.crashAfter > 0 {
			if n.crashAfter--; n.crashAfter == 0 {
				n.crash(n.c.unsyncedPercent())
			}
		}
		return n.boot == boot
	}
	first := n.c.rng.IntN(len(kinds))
	for i := range kinds {
		if n.boot == boot {
			kinds[(first+i)%len(kinds)](alive)
		}
	}
	if eff.Observed > 0 && n.boot == boot {
		t.spread(eff.Observed)
	}
}

func (t *thread) save(eff *worker.Effects, alive func() bool) {
	for i := range eff.Saves {
		t.node.disk.submit(job{save: eff.Saves[i], thread: t})
		if !alive() {
			return
		}
	}
}

func (t *thread) send(eff *worker.Effects, alive func() bool) {
	for i := range eff.Sends {
		t.node.c.network.send(t.node, t, eff.Sends[i].To, eff.Sends[i].Message)
		t.node.c.crashVoter(t.node, &eff.Sends[i].Message)
		t.node.c.strike(t.node, &eff.Sends[i].Message)
		t.node.c.spring(t.node, eff.Sends[i].To, &eff.Sends[i].Message, false)
		if !alive() {
			return
		}
	}
}

func (t *thread) reply(eff *worker.Effects, alive func() bool) {
	for i := range eff.Replies {
		t.node.c.replied(t.node, &eff.Replies[i])
		if !alive() {
			return
		}
	}
}

func (t *thread) stream(eff *worker.Effects, alive func() bool) {
	for i := range eff.Streams {
		c := t.node.c
		s := &stream{c: c, from: t, to: c.nodes[eff.Streams[i].To], stream: eff.Streams[i]}
		s.begin()
		if !alive() {
			return
		}
	}
}

// spread passes a revision on to the node's other workers.
func (t *thread) spread(rev kv.Revision) {
	for _, other := range t.node.threads {
		if other != t {
			other.post(input{call: func(now wire.Instant) { other.worker.Observe(now, rev) }})
		}
	}
}

// tickEvery is the node's own measure of time.
const tickEvery = 50 * time.Millisecond

func (t *thread) tick() {
	if !t.ticking {
		t.ticking = true
		t.post(input{call: func(now wire.Instant) {
			t.ticking = false
			t.worker.Tick(now)
		}})
	}
	t.node.after(t.node.local(tickEvery), t.tick)
}
