package placement

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// StoreMap writes a map into a batch, as the system shard keeps it.
func StoreMap(b engine.Batch, m Map) error {
	for _, s := range append([]Shard{m.System}, m.Shards...) {
		if err := b.Set(keyspace.MapKey(nil, s.ID), EncodeShard(s)); err != nil {
			return fmt.Errorf("shard map: %w", err)
		}
	}
	return nil
}

// LoadMap reads the map that the system shard keeps. It returns ErrNotFound
// of package engine if this node holds none.
func LoadMap(r engine.Reader) (Map, error) {
	var m Map
	prefix := keyspace.MetaKey(nil, kv.SystemShard, keyspace.KindMap)
	end := keyspace.MetaKey(nil, kv.SystemShard, keyspace.KindMap+1)
	it, err := r.NewIter(prefix, end)
	if err != nil {
		return m, fmt.Errorf("shard map: %w", err)
	}
	found := false
	byStart := map[string]Shard{}
	for ok := it.First(); ok; ok = it.Next() {
		s, err := DecodeShard(it.Value())
		if err != nil {
			return m, errors.Join(err, it.Close())
		}
		found = true
		if s.ID == kv.SystemShard {
			m.System = s
			continue
		}
		byStart[string(s.Range.Start)] = s
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return m, fmt.Errorf("shard map: %w", err)
	}
	if !found {
		return m, fmt.Errorf("shard map: %w", engine.ErrNotFound)
	}
	for _, start := range slices.Sorted(maps.Keys(byStart)) {
		m.Shards = append(m.Shards, byStart[start])
	}
	return m, m.Validate()
}
