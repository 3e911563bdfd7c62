package sim

import (
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// deposeMax is how long a leader is kept apart until another leads.
const deposeMax = 4 * time.Second

// depose keeps a shard's leader apart until another leads, and for a while after that:
// time for the old one to answer what it should not. Only its raft messages are lost, so
// that clients and the oracle go on with it, or all messages, or those that it sends; or
// it is stopped, to wake up with what arrived meanwhile.
func (c *cluster) depose() {
	s := c.allShards()[c.rng.IntN(len(c.allShards()))]
	leader := c.leader(s.ID)
	if leader == nil || len(s.Nodes) == 1 {
		return
	}
	from, wait := leader.Leader(), c.between(0, 1500*time.Millisecond)
	c.probe.struck(FaultDeposal)
	c.trace.note("depose", uint64(s.ID), uint64(from), uint64(wait))
	c.trace.sayf("%v is to lose %v", from, s.ID)
	var mend func()
	switch c.rng.IntN(8) {
	case 0:
		c.pause(c.nodes[from], wait+c.between(500*time.Millisecond, 1500*time.Millisecond))
		return
	case 1:
		mend = c.cutLinks(append(c.linksFrom(from), c.linksTo(from)...))
	case 2:
		mend = c.cutLinks(c.linksFrom(from))
	default:
		c.network.apart[s.ID] = from
		mend = func() { delete(c.network.apart, s.ID) }
	}
	c.whenDeposed(s.ID, from, func() { c.after(wait, mend) })
}

// whenDeposed does something once another than from leads a shard, or it took too long.
func (c *cluster) whenDeposed(shard kv.ShardID, from kv.NodeID, do func()) {
	end := c.now + Time(deposeMax)
	var look func()
	look = func() {
		leader := c.leader(shard)
		if leader != nil && leader.Leader() != from || c.now >= end || c.healed {
			do()
			return
		}
		c.after(10*time.Millisecond, look)
	}
	look()
}
