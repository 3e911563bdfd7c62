package sim

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// plot is a betrayal under way: the rival no longer hears of the shard's leader.
type plot struct {
	shard                  kv.ShardID
	leader, rival, traitor kv.NodeID
}

// betray cuts the link between a shard's leader and one of its voters, the rival,
// which stands for election before long.
func (c *cluster) betray() {
	s := c.shards.Shards[c.rng.IntN(len(c.shards.Shards))]
	leader := c.leader(s.ID)
	if leader == nil || len(s.Nodes) != 3 {
		return
	}
	p := &plot{shard: s.ID, leader: leader.Leader()}
	others := slices.DeleteFunc(slices.Clone(s.Nodes), func(id kv.NodeID) bool {
		return id == p.leader
	})
	first := c.rng.IntN(2)
	p.rival, p.traitor = others[first], others[1-first]
	c.plot = p
	c.probe.struck(FaultBetrayal)
	c.cutFor(2*time.Second, []link{{p.leader, p.rival}, {p.rival, p.leader}})
}

// strike is called for every message that a node sends. When it is the rival's call for
// votes, the third voter dies for a moment and so forgets whom it has just
// promised not to vote. The leader hears of none of it, but may go on to read at
// revisions that the oracle tells it.
func (c *cluster) strike(n *node, m *wire.Message) {
	p := c.plot
	if p == nil || m.Raft == nil || n.id != p.rival || m.Raft.Shard != p.shard ||
		m.Raft.Msg.GetType() != raftpb.MsgPreVote {
		return
	}
	c.plot = nil
	if traitor := c.nodes[p.traitor]; !c.healed && traitor.state != down {
		c.cutFor(time.Second, []link{{p.leader, p.traitor}, {p.traitor, p.leader}})
		traitor.crash(100)
		traitor.start()
	}
}
