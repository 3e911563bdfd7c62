package sim

import (
	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
)

// archive keeps what replicas forget.
type archive struct {
	// harvests are the commits of the shards.
	harvests map[kv.ShardID]*harvest
	// leases is the last id of a lease. What the system shard has applied up to
	// regarded is known, and whoever led it up to the term reign.
	leases          kv.LeaseID
	regarded, reign uint64
	// statuses counts how often a node was asked for its own.
	statuses int
}

// harvest is what is kept of a shard's commits, up to and including a revision,
// so that the history is whole although replicas sweep theirs.
type harvest struct {
	upTo    kv.Revision
	commits []Commit
}

// reap is called before a thread makes a pass, in which its replicas may sweep
// what is compacted: what is closed and not known yet is kept before. What
// one replica has closed all others have, or will have, just so; should that not
// hold, an operation finds its commit missing.
func (c *cluster) reap(t *thread) {
	for _, s := range c.shards.Shards {
		r := t.worker.Replica(s.ID)
		if r == nil || r.Compacted() == 0 {
			continue
		}
		if limit := r.Closed(); limit > c.harvestOf(s.ID).upTo {
			if err := c.harvestOf(s.ID).take(t.node.engine, s.ID, limit); err != nil {
				c.failf("%v %v: history up to %v: %v", t.node.id, s.ID, limit, err)
			}
		}
	}
}

func (c *cluster) harvestOf(shard kv.ShardID) *harvest {
	h := c.archive.harvests[shard]
	if h == nil {
		h = &harvest{}
		c.archive.harvests[shard] = h
	}
	return h
}

// take adds the commits that an engine holds of a shard, up to and including a
// revision.
func (h *harvest) take(e engine.Reader, shard kv.ShardID, upTo kv.Revision) error {
	for event, err := range mvcc.History(e, shard, h.upTo+1, upTo+1) {
		if err != nil {
			return err
		}
		last := len(h.commits) - 1
		if last < 0 || h.commits[last].Revision != event.Revision {
			h.commits = append(h.commits, Commit{Revision: event.Revision, Shard: shard})
			last++
		}
		w := Write{Sub: event.Sub, Key: string(event.KV.Key), Tombstone: event.Deleted}
		if !event.Deleted {
			w.Value, w.Create = string(event.KV.Value), event.KV.CreateRevision
			w.Version, w.Lease = event.KV.Version, event.KV.Lease
		}
		h.commits[last].Writes = append(h.commits[last].Writes, w)
	}
	h.upTo = upTo
	return nil
}
