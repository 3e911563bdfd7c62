package sim

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/wire"
)

// holdSomebody has a node's writes wait for a while, as package node does while its engine
// or its log is behind. In every third case it takes no entries of others either, which is
// what it does when its log is far behind.
func (c *cluster) holdSomebody() {
	n := c.anybody()
	if !n.serves() {
		return
	}
	c.probe.struck(FaultHold)
	shedding := c.rng.IntN(3) == 0
	n.note("hold", 0, 0)
	c.trace.sayf("the engine of %v is behind, it takes no entries: %v", n.id, shedding)
	n.hold(true, shedding)
	n.after(c.around(400*time.Millisecond), func() { n.hold(false, false) })
}

// hold has the writes of a node's workers wait, or go on.
func (n *node) hold(held, shedding bool) {
	n.shedding = shedding
	for _, t := range n.threads {
		t.post(input{call: func(wire.Instant) { t.worker.Hold(held) }})
	}
}

// sheds reports whether a node does not take a message in, because it has entries.
func (n *node) sheds(m *wire.Message) bool {
	return n.shedding && m.Raft != nil && m.Raft.Msg.GetType() == raftpb.MsgApp &&
		len(m.Raft.Msg.GetEntries()) > 0
}
