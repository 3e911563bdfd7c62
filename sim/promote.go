package sim

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
)

// learnerOf names a replica that once was a learner.
type learnerOf struct {
	shard   kv.ShardID
	replica kv.ReplicaID
}

// laggingMax is how many entries a learner may lack that becomes a voter. One that came
// when the log was longer than that has a log of its own, at the least.
const laggingMax = 64

// checkPromotions is called when a leader has changed the members of its shard: who votes
// from now on must have been brought up to date, or the shard is worse off than before.
func (c *cluster) checkPromotions(r *replica.Replica) {
	d, applied := r.Descriptor(), r.Applied().Index
	for _, rep := range d.Replicas {
		key := learnerOf{r.Shard(), rep.ID}
		since, known := c.learners[key]
		switch {
		case rep.Learner && !known:
			c.learners[key] = applied
		case !rep.Learner && known && since > laggingMax && c.logless(r.Shard(), rep):
			c.failf("%v: replica %d at %v votes from %d on, and has no log", r.Shard(), rep.ID,
				rep.Node, applied)
		}
	}
}

// logless reports whether a replica is known to have nothing on its disk.
func (c *cluster) logless(shard kv.ShardID, rep placement.Replica) bool {
	n := c.nodes[rep.Node]
	if !n.serves() || n.member.Identity().ReplicaIncarnation() != rep.Incarnation {
		return false
	}
	last, err := n.log.Group(shard).LastIndex()
	return err == nil && last == 0
}
