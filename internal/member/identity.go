package member

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Format is the version of the data directory's layout. A directory of a newer
// one is refused before anything is touched.
const Format = 1

// Identity is what a data directory remembers of its node.
type Identity struct {
	Format      int            `json:"format"`
	Cluster     kv.ClusterID   `json:"cluster,string"`
	Node        kv.NodeID      `json:"node,string"`
	Name        string         `json:"name"`
	Incarnation kv.Incarnation `json:"incarnation,string"`
	Role        wire.Role      `json:"role"`
}

// ReplicaIncarnation is what the node's entries in shard descriptors carry.
func (id Identity) ReplicaIncarnation() kv.Incarnation {
	return replicaIncarnation(id.Role, id.Incarnation)
}

func replicaIncarnation(role wire.Role, inc kv.Incarnation) kv.Incarnation {
	if role == wire.RoleReplacement {
		return inc
	}
	return 0
}

// LoadIdentity reads the identity; ok is false in a new directory.
func LoadIdentity(r engine.Reader) (id Identity, ok bool, err error) {
	data, err := r.Get(keyspace.NodeKey(keyspace.KindIdentity))
	if errors.Is(err, engine.ErrNotFound) {
		return id, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("node identity: %w", err)
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, false, fmt.Errorf("%w: node identity: %v", kv.ErrCorrupt, err)
	}
	if id.Format > Format {
		return id, false, kv.Invalid("data directory: format %d is newer than %d, "+
			"the newest that this version understands", id.Format, Format)
	}
	return id, true, nil
}

// Matches compares a directory's identity with the one that was asked for.
func (id Identity) Matches(cluster kv.ClusterID, node kv.NodeID, name string) error {
	switch {
	case id.Cluster != cluster:
		return kv.Invalid("data directory: it belongs to cluster %v, not to %v; "+
			"another directory, or the same cluster options as before, are needed",
			id.Cluster, cluster)
	case id.Node != node || id.Name != name:
		return kv.Invalid("data directory: it belongs to node %q (%v), not to %q (%v)",
			id.Name, id.Node, name, node)
	}
	return nil
}

// put writes the identity into a batch.
func (id Identity) put(b engine.Batch) error {
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("node identity: %w", err)
	}
	return b.Set(keyspace.NodeKey(keyspace.KindIdentity), data)
}

// commitDurably commits b and makes it survive a crash.
func commitDurably(e engine.Engine, b engine.Batch) error {
	if err := b.Commit(); err != nil {
		return err
	}
	return e.Flush()
}

func loadPeers(r engine.Reader) (map[kv.NodeID]kv.Incarnation, error) {
	first := keyspace.PeerKey(nil, 0)
	end := keyspace.PeerKey(nil, ^kv.NodeID(0))
	it, err := r.NewIter(first, end)
	if err != nil {
		return nil, fmt.Errorf("peers on record: %w", err)
	}
	known := map[kv.NodeID]kv.Incarnation{}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) != len(first) || len(value) != 8 {
			err := fmt.Errorf("%w: peer on record %x", kv.ErrCorrupt, key)
			return nil, errors.Join(it.Close(), err)
		}
		node := kv.NodeID(binary.BigEndian.Uint64(key[len(key)-8:]))
		known[node] = kv.Incarnation(binary.BigEndian.Uint64(value))
	}
	return known, errors.Join(it.Error(), it.Close())
}
