package sim

import (
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
)

// seen is what was last seen of a replica, to hold its next state against.
type seen struct {
	applied, term uint64
	revision      kv.Revision
	closed        kv.Revision
	compacted     kv.Revision
	leading       bool
	requests      int
	swept         int64
	members       uint64
}

type termOf struct {
	shard kv.ShardID
	term  uint64
}

// observe checks, after a pass of a thread, what must hold at any moment.
func (c *cluster) observe(t *thread) {
	if t.seen == nil {
		t.seen = map[kv.ShardID]seen{}
	}
	for _, s := range c.allShards() {
		if r := t.worker.Replica(s.ID); r != nil {
			t.seen[s.ID] = c.observeReplica(t, r, t.seen[s.ID])
		}
	}
}

func (c *cluster) observeReplica(t *thread, r *replica.Replica, before seen) seen {
	applied, load := r.Applied(), r.Load()
	after := seen{
		applied: applied.Index, term: r.Term(), revision: applied.Revision, closed: r.Closed(),
		compacted: load.Compacted, leading: load.Leading, requests: load.Requests,
		swept: load.SweptVersions, members: r.Descriptor().MemberEpoch,
	}
	n := t.node
	switch {
	case after.applied < before.applied, after.revision < before.revision:
		c.failf("%v %v: applied goes back from %+v to %+v", n.id, r.Shard(), before, after)
	case after.term < before.term:
		c.failf("%v %v: the term goes back from %d to %d", n.id, r.Shard(), before.term, after.term)
	case after.closed < before.closed:
		c.failf("%v %v: closed goes back from %v to %v", n.id, r.Shard(), before.closed,
			after.closed)
	case after.revision > before.revision && after.revision <= before.closed:
		c.failf("%v %v: %v is applied, but %v was closed", n.id, r.Shard(), after.revision,
			before.closed)
	}
	if after.leading && after.members != before.members {
		c.checkPromotions(r)
	}
	c.probe.changed(t, r, before, after)
	if !after.same(before) {
		n.note("state", uint64(r.Shard())<<32|after.applied, uint64(after.revision)<<20^after.term)
	}
	if r.Leader() == n.id {
		c.crown(r)
	}
	return after
}

// crown notes that a replica leads in its term.
func (c *cluster) crown(r *replica.Replica) {
	key := termOf{r.Shard(), r.Term()}
	other, known := c.terms[key]
	switch {
	case !known:
		c.terms[key] = r.Leader()
		c.probe.reign(r, key.shard)
		c.cutFresh(r.Leader())
	case other != r.Leader():
		c.failf("%v has two leaders in term %d: %v and %v", key.shard, key.term, other, r.Leader())
	}
}

// same reports whether nothing that lasts has changed.
func (s seen) same(o seen) bool {
	return s.applied == o.applied && s.term == o.term && s.revision == o.revision &&
		s.closed == o.closed
}
