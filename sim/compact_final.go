package sim

import (
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
)

// floor is the cluster's compaction floor, as the system shard has it.
func (c *cluster) floor() kv.Revision {
	if sys := c.leader(kv.SystemShard); sys != nil {
		return sys.Compacted()
	}
	return 0
}

// swept reports whether all replicas have the cluster's floor and say that they have swept
// up to it, and keep no history below it. A replica that knows the floor before it is closed
// there sweeps to below it first: then no history is left, but versions may be.
func (c *cluster) swept() bool {
	floor := c.floor()
	for _, s := range c.allShards() {
		for _, r := range c.replicas(s.ID) {
			if r.Compacted() != floor || r.Load().Swept != floor {
				return false
			}
		}
		for _, id := range s.Nodes {
			if floor == 0 {
				continue
			}
			for range mvcc.History(c.nodes[id].engine, s.ID, 0, floor) {
				return false
			}
		}
	}
	return true
}

// checkSwept checks that a replica holds just the versions that can be seen at the
// floor or above, and just their history.
func (c *cluster) checkSwept(e engine.Reader, s placement.Shard) error {
	floor, h := c.floor(), c.harvestOf(s.ID)
	want := map[string]bool{}
	seen := map[string]string{} // the version that is seen at the floor, by key
	for _, commit := range h.commits {
		for _, w := range commit.Writes {
			at := string(keyspace.VersionKey(nil, []byte(w.Key), commit.Revision))
			if commit.Revision <= floor {
				delete(want, seen[w.Key])
				seen[w.Key] = at
			}
			if !w.Tombstone || commit.Revision >= floor {
				want[at] = true
			}
		}
	}
	span := keyspace.VersionSpan(s.Range)
	it, err := e.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	for on := it.First(); on; on = it.Next() {
		if !want[string(it.Key())] {
			err = errors.Join(err, fmt.Errorf("%v at floor %v: version %q should have been swept",
				s.ID, floor, it.Key()))
		}
		delete(want, string(it.Key()))
	}
	for key := range want {
		err = errors.Join(err, fmt.Errorf("%v at floor %v: version %q was swept", s.ID, floor, key))
	}
	return errors.Join(err, it.Error(), it.Close())
}
