package sim

import (
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Tenure is the life of a lease as the log of the system shard has it, in true time:
// when it was first seen by any replica, when its end began, and when it was gone. 0
// is never.
type Tenure struct {
	Born, Dying, Gone Time
}

// regard looks at the leases after a pass of a thread whose replica of the system shard
// is the first to have applied something.
func (c *cluster) regard(t *thread) {
	r := t.worker.Replica(kv.SystemShard)
	if c.cfg.Load.Keepers == 0 || r == nil {
		return
	}
	if r.Leading() && r.Term() > c.archive.reign {
		c.archive.reign = r.Term()
		c.history.Reigns = append(c.history.Reigns, c.now)
	}
	if r.Applied().Index <= c.archive.regarded {
		return
	}
	c.archive.regarded = r.Applied().Index
	there := map[kv.LeaseID]bool{}
	err := r.LoadLeases(func(id kv.LeaseID, rec *keyspace.LeaseRecord) {
		there[id] = true
		l := c.history.Leases[id]
		if l == nil {
			l = &Tenure{Born: c.now}
			c.history.Leases[id] = l
		}
		if rec.Revoking && l.Dying == 0 {
			l.Dying = c.now
		}
	})
	if err != nil {
		c.failf("%v: leases: %v", t.node.id, err)
	}
	for id, l := range c.history.Leases {
		if !there[id] && l.Gone == 0 {
			l.Gone = c.now
			if l.Dying == 0 {
				l.Dying = c.now
			}
		}
	}
}

// leaseless reports whether all leases have come to their end.
func (c *cluster) leaseless() bool {
	for _, l := range c.history.Leases {
		if l.Gone == 0 {
			return false
		}
	}
	return true
}
