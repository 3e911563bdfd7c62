package replica

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

// wish is a move of the leadership that somebody asked for: to a node, 0 for
// none, and begun before a moment.
type wish struct {
	to    kv.NodeID
	until wire.Instant
}

// Prefer has a leader hand the leadership to a node for good: the shard's
// descriptor says from then on that it should lead, so that nobody gives it back.
// It only begins, and gives up at a moment or when the term ends. kv.ErrNotLeader,
// and kv.ErrBadTransferee if the node does not vote.
func (r *Replica) Prefer(to kv.NodeID, until wire.Instant) error {
	if !r.role.serving {
		return fmt.Errorf("%w: of shard %v", kv.ErrNotLeader, r.cfg.Shard)
	}
	if rep, ok := r.state.desc.On(to); !ok || rep.Learner {
		return fmt.Errorf("%w: node %d does not vote in shard %v", kv.ErrBadTransferee,
			uint64(to), r.cfg.Shard)
	}
	if to != r.cfg.Node {
		r.member.wish = wish{to, until}
	}
	return nil
}

// tendWish takes a move that was asked for a step further. It is called on a
// leader at every tick, and reports whether there is one.
func (r *Replica) tendWish(now wire.Instant) bool {
	d, w := &r.state.desc, &r.member.wish
	if w.to == 0 {
		return false
	}
	to, ok := d.On(w.to)
	switch {
	case !ok || to.Learner || now > w.until:
		*w = wish{}
		r.member.offered = false
	case !r.caughtUp(now, to.ID):
		// It may be down, and then it is not to be waited for.
	case d.Preferred != w.to:
		// To raft, it is a voter that becomes a voter.
		r.proposeChange(change(raftpb.ConfChangeAddNode, to.ID), d.WithPreferred(w.to))
	case !r.Giving():
		r.giveTo(now, to)
	}
	return true
}
