package sim

import (
	"fmt"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// txnStep is one of the messages that a transaction over several shards takes.
type txnStep uint8

const (
	noStep txnStep = iota
	stepPrepare
	stepPrepared
	stepNumbered
	stepDecide
	stepOutcome
	stepResolve
	stepSettle
	steps
)

// stepOf is which message it is, if one at all.
func stepOf(m *wire.Message) txnStep {
	switch q, a := m.Request, m.Response; {
	case q != nil && q.Prepare != nil:
		return stepPrepare
	case q != nil && q.Decide != nil:
		return stepDecide
	case q != nil && q.Resolve != nil:
		return stepResolve
	case q != nil && q.Settle != nil:
		return stepSettle
	case a != nil && a.Prepared != nil:
		return stepPrepared
	case a != nil && a.Oracle != nil && a.Oracle.Count > 0:
		return stepNumbered
	case a != nil && a.Outcome != nil:
		return stepOutcome
	}
	return noStep
}

// Ambush is where to strike: at the next message of a step, who sends it or who receives
// it, just then. The zero value is anywhere.
type Ambush struct {
	step     txnStep
	receiver bool
	harm     harm
}

// harm is what an ambush does to a node; peer is the other one.
type harm uint8

const (
	anyHarm harm = iota
	crashNow
	crashSoon
	crashHalfway
	isolate
	sever
	pause
	crashAnother
	harms
)

// ambush is one that is set. do replaces its harm in tests.
type ambush struct {
	Ambush
	do func(n *node, peer kv.NodeID)
}

// lieInWait sets an ambush, in the place of the last one.
func (c *cluster) lieInWait() {
	a := &ambush{Ambush: c.cfg.Faults.At}
	if a.step == noStep {
		a.step = stepPrepare + txnStep(c.rng.IntN(int(steps-stepPrepare)))
		a.receiver = c.chance(0.5)
		a.harm = crashNow + harm(c.rng.IntN(int(harms-crashNow)))
	}
	c.ambush = a
}

// spring is called for every message that a node has sent or is about to take.
func (c *cluster) spring(n *node, peer kv.NodeID, m *wire.Message, receiver bool) {
	a := c.ambush
	if a == nil || c.healed || a.receiver != receiver || a.step != stepOf(m) {
		return
	}
	c.ambush = nil
	c.probe.struck(FaultAmbush)
	n.note("ambush", uint64(a.step), 0)
	c.trace.sayf("%v is caught at step %d", n.id, a.step)
	if a.do != nil {
		a.do(n, peer)
		return
	}
	c.strikeAt(n, peer, a.harm)
}

// strikeAt does harm to a node.
func (c *cluster) strikeAt(n *node, peer kv.NodeID, h harm) {
	switch h {
	case crashNow:
		c.crashFor(n)
	case crashSoon: // after a few messages more
		n.after(c.between(0, 5*time.Millisecond), func() { c.crashFor(n) })
	case crashHalfway: // amid the effects of what it does next
		n.crashAfter = 1 + c.rng.IntN(4)
		n.onDeath(func() { c.restart(n) })
	case isolate:
		c.isolate(n)
	case sever: // until a transaction is given up: what is repeated comes after that
		c.cutFor(c.between(800*time.Millisecond, 2500*time.Millisecond), []link{{n.id, peer}})
	case pause:
		c.pause(n, c.between(0, 3*time.Second))
	case crashAnother:
		shard := c.shards.Shards[c.rng.IntN(len(c.shards.Shards))].ID
		if leader := c.leader(shard); leader != nil {
			c.crashFor(c.nodes[leader.Leader()])
		}
	}
}

// crashFor lets a node die for a while.
func (c *cluster) crashFor(n *node) {
	if n != nil && n.state != down {
		n.crash(c.unsyncedPercent())
		c.restart(n)
	}
}

// isolate cuts all links from a node, or to it, or both, for as long as it takes to elect
// others and to settle.
func (c *cluster) isolate(n *node) {
	links := c.linksFrom(n.id)
	switch c.rng.IntN(3) {
	case 0:
		links = c.linksTo(n.id)
	case 1:
		links = append(links, c.linksTo(n.id)...)
	}
	c.cutFor(c.between(200*time.Millisecond, 4*time.Second), links)
}

// lag is how long a step of a transaction is late on its way, beside what others
// take: late enough to come when all is over.
func (c *cluster) lag(m *wire.Message) time.Duration {
	if stepOf(m) == noStep || c.healed || !c.chance(c.cfg.Faults.Lag) {
		return 0
	}
	return c.between(0, 4*time.Second)
}

// unlocked reports whether no transaction holds a key anywhere.
func (c *cluster) unlocked() bool { return c.locked() == "" }

// locked names a replica that holds locks, "" if there is none.
func (c *cluster) locked() string {
	for _, s := range c.shards.Shards {
		for _, r := range c.replicas(s.ID) {
			if n := r.Load().Locks; n > 0 {
				return fmt.Sprintf("replica %d of %v: %d", r.ID(), s.ID, n)
			}
		}
	}
	return ""
}

// orphanedMax is how long a transaction that nobody coordinates any more may
// hold keys once all is well: an election, the time after which the primary is asked,
// and its answer.
const orphanedMax = 5 * time.Second

// checkLocks waits for the end of the transactions under way.
func (c *cluster) checkLocks() {
	end := c.now + Time(orphanedMax)
	for !c.ready() || !c.unlocked() { // who does not lead may not have applied all yet
		if c.now >= end {
			c.failf("all is well since %v, but locks are left: %s", orphanedMax, c.locked())
		}
		c.runFor(20 * time.Millisecond)
	}
}
