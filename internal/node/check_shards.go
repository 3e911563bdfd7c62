package node

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// checkedShard is a shard of which the engine holds metadata.
type checkedShard struct {
	id   kv.ShardID
	desc placement.Descriptor
	// described and readable tell whether desc and applied could be read.
	described, readable bool
	applied             keyspace.Applied
	compacted           kv.Revision
	// marks are the leases that keys may hang on.
	marks map[kv.LeaseID]bool
}

func (s *checkedShard) where() string { return fmt.Sprintf("shard %v", s.id) }

// holds reports whether the engine has metadata of a shard.
func (c *checker) holds(id kv.ShardID) bool {
	return slices.ContainsFunc(c.shards, func(s *checkedShard) bool { return s.id == id })
}

// findShards reads all metadata.
func (c *checker) findShards() error {
	return c.eachKey(keyspace.SpaceMeta, func(key, value []byte) error {
		id, kind, suffix, err := keyspace.ParseMetaKey(key)
		if err != nil {
			return c.report(keyName(key), "%v", err)
		}
		if n := len(c.shards); n == 0 || c.shards[n-1].id != id {
			c.shards = append(c.shards, &checkedShard{id: id})
		}
		s := c.shards[len(c.shards)-1]
		if err := s.take(kind, suffix, value); err != nil {
			return c.report(s.where(), "metadata %q: %v", kind, err)
		}
		return nil
	})
}

// take reads one entry of the shard's metadata.
func (s *checkedShard) take(kind keyspace.Kind, suffix, value []byte) (err error) {
	var at keyspace.Applied
	switch kind {
	case keyspace.KindApplied:
		s.applied, err = keyspace.ParseApplied(value)
		s.readable = err == nil
	case keyspace.KindDescriptor:
		s.desc, err = placement.DecodeDescriptor(value)
		s.described = err == nil
	case keyspace.KindCompacted:
		at, err = keyspace.ParseApplied(value)
		s.compacted = at.Revision
	case keyspace.KindOracle:
		_, err = keyspace.ParseApplied(value)
	case keyspace.KindAlarms:
		_, err = keyspace.ParseAlarms(value)
		err = cmp.Or(err, systemOnly(s.id))
	case keyspace.KindMap, keyspace.KindRegistry:
		return systemOnly(s.id)
	case keyspace.KindLease:
		return s.takeLease(suffix, value)
	case keyspace.KindPrepare, keyspace.KindOutcome:
		return checkTxnSuffix(suffix)
	default:
		return fmt.Errorf("%w: unknown kind", kv.ErrCorrupt)
	}
	if err == nil && len(suffix) > 0 {
		err = fmt.Errorf("%w: the key goes on after its end", kv.ErrCorrupt)
	}
	return err
}

// checkTxnSuffix checks the id of a transaction over shards in a key.
func checkTxnSuffix(suffix []byte) error {
	const idBytes = 16
	if len(suffix) != idBytes {
		return fmt.Errorf("%w: a transaction's id of %d bytes", kv.ErrCorrupt, len(suffix))
	}
	return nil
}

func systemOnly(id kv.ShardID) error {
	if id != kv.SystemShard {
		return fmt.Errorf("%w: it belongs to the system shard alone", kv.ErrCorrupt)
	}
	return nil
}

// checkPlaces checks that each shard is whole, belongs to this node and
// overlaps none other.
func (c *checker) checkPlaces() error {
	for _, s := range c.shards {
		if err := c.checkPlace(s); err != nil {
			return err
		}
	}
	data := c.dataShards()
	for i := 1; i < len(data); i++ {
		a, b := data[i-1], data[i]
		if a.desc.End == nil || bytes.Compare(a.desc.End, b.desc.Start) > 0 {
			err := c.report(b.where(), "its range %v overlaps %v of shard %v",
				b.desc.Range(), a.desc.Range(), a.id)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) checkPlace(s *checkedShard) error {
	switch {
	case !s.described:
		return c.report(s.where(), "it has metadata, but no descriptor that can be read")
	case s.desc.Shard != s.id:
		return c.report(s.where(), "its descriptor is that of shard %v", s.desc.Shard)
	case s.desc.Range().Empty():
		return c.report(s.where(), "its range %v is empty", s.desc.Range())
	case !s.readable:
		return c.report(s.where(), "it has no applied state that can be read")
	case c.identity == nil:
		return c.report(s.where(), "orphaned: the node has no identity")
	}
	self, ok := s.desc.On(c.identity.Node)
	switch {
	case !ok:
		return c.report(s.where(), "orphaned: its descriptor names no replica on %v, only %v",
			c.identity.Node, s.desc.Replicas)
	case self.Incarnation != c.identity.ReplicaIncarnation():
		return c.report(s.where(), "orphaned: replica %d on %v belongs to the directory %v, "+
			"this one is %v", self.ID, c.identity.Node, self.Incarnation,
			c.identity.ReplicaIncarnation())
	case !slices.Contains(s.desc.Nodes, c.identity.Node):
		return c.report(s.where(), "orphaned: it is placed on %v, not on %v",
			s.desc.Nodes, c.identity.Node)
	}
	return nil
}

// dataShards are those with a range, in its order.
func (c *checker) dataShards() []*checkedShard {
	var list []*checkedShard
	for _, s := range c.shards {
		if s.described && s.id != kv.SystemShard {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *checkedShard) int {
		return cmp.Or(bytes.Compare(a.desc.Start, b.desc.Start), cmp.Compare(a.id, b.id))
	})
	return list
}

// checkMap checks the shard map, which a replica of the system shard keeps,
// against the shards.
func (c *checker) checkMap() error {
	const where = "shard map"
	m, err := placement.LoadMap(c.engine)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		if len(c.shards) > 0 && c.shards[0].id == kv.SystemShard {
			return c.report(where, "the system shard is here, but not its map")
		}
		return nil
	case err != nil:
		return c.damaged(where, err)
	}
	for _, s := range c.shards {
		if err := c.checkEntry(s, m.Shard(s.id)); err != nil {
			return err
		}
	}
	if c.identity == nil || c.identity.Role != wire.RoleFounder {
		return nil // a replacement may still wait for its replicas
	}
	for _, entry := range append([]placement.Shard{m.System}, m.Shards...) {
		if slices.Contains(entry.Nodes, c.identity.Node) && !c.holds(entry.ID) {
			err := c.report(where, "it places shard %v here, but there is nothing of it", entry.ID)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkEntry compares a shard with its entry in the map, nil for none.
func (c *checker) checkEntry(s *checkedShard, entry *placement.Shard) error {
	switch {
	case !s.described:
		return nil
	case entry == nil:
		return c.report(s.where(), "orphaned: the shard map does not have it")
	case c.identity != nil && !slices.Contains(entry.Nodes, c.identity.Node):
		return c.report(s.where(), "orphaned: the shard map places it on %v, not on %v",
			entry.Nodes, c.identity.Node)
	case entry.Epoch == s.desc.RangeEpoch && !sameRange(entry.Range, s.desc.Range()):
		return c.report(s.where(), "it holds %v, but %v by the shard map, both at epoch %d",
			s.desc.Range(), entry.Range, entry.Epoch)
	}
	return nil
}

func sameRange(a, b kv.Range) bool {
	return bytes.Equal(a.Start, b.Start) && bytes.Equal(a.End, b.End) &&
		(a.End == nil) == (b.End == nil)
}

// checkShards checks the data of each shard.
func (c *checker) checkShards() error {
	for _, s := range c.dataShards() {
		if !s.readable {
			continue
		}
		for p, err := range mvcc.Check(c.engine, s.id, s.desc.Range(), s.compacted) {
			if err != nil {
				return err
			}
			if err := c.report(s.where(), "%v", p); err != nil {
				return err
			}
		}
		if err := c.checkNewest(s); err != nil {
			return err
		}
		if err := c.checkLeases(s); err != nil {
			return err
		}
	}
	return nil
}

// checkNewest makes sure that nothing is newer than what was applied.
func (c *checker) checkNewest(s *checkedShard) error {
	after := keyspace.HistorySpan(s.id, s.applied.Revision+1, 0)
	return c.eachIn(after, func(key, _ []byte) error {
		_, rev, _, err := keyspace.ParseHistoryKey(key)
		if err != nil {
			return nil // mvcc.Check has said so
		}
		return c.report(s.where(), "the history goes to %v, but only %v is applied",
			rev, s.applied.Revision)
	})
}

// eachKey visits the pairs of a space in order.
func (c *checker) eachKey(space keyspace.Space, visit func(key, value []byte) error) error {
	return c.eachIn(keyspace.Span{Start: []byte{byte(space)}, End: []byte{byte(space) + 1}}, visit)
}

// eachIn visits the pairs of a span in order.
func (c *checker) eachIn(span keyspace.Span, visit func(key, value []byte) error) error {
	it, err := c.engine.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = visit(it.Key(), it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}

// keyName is how a key of the engine is called in a problem.
func keyName(key []byte) string { return "engine key " + hex.EncodeToString(key) }
