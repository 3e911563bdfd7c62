package placement

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"github.com/miruvor/miruvor/internal/kv"
)

// Shard is a map's entry: a range of keys and the nodes that hold it. The
// first node is the one that should lead while all are well.
type Shard struct {
	ID    kv.ShardID
	Range kv.Range
	// Epoch grows with every change of the range.
	Epoch uint64
	Nodes []kv.NodeID
}

// Map says where every key lives. Shards are sorted by range and leave no
// gap; the system shard stands apart since it holds no user keys. A Map is
// immutable.
type Map struct {
	System Shard
	Shards []Shard
}

// Locate is the shard that holds key.
func (m *Map) Locate(key []byte) *Shard {
	i := sort.Search(len(m.Shards), func(i int) bool {
		return bytes.Compare(m.Shards[i].Range.Start, key) > 0
	})
	return &m.Shards[i-1]
}

// Oracle is the shard whose leader hands revisions out: the system shard, or the
// only one with keys, whose log knows them all.
func (m *Map) Oracle() kv.ShardID {
	if len(m.Shards) == 1 {
		return m.Shards[0].ID
	}
	return kv.SystemShard
}

// Overlapping are the shards that hold keys of r, in key order.
func (m *Map) Overlapping(r kv.Range) []Shard {
	if r.Empty() {
		return nil
	}
	first := sort.Search(len(m.Shards), func(i int) bool {
		end := m.Shards[i].Range.End
		return end == nil || bytes.Compare(end, r.Start) > 0
	})
	last := first
	for last < len(m.Shards) && m.Shards[last].Range.Overlaps(r) {
		last++
	}
	return m.Shards[first:last]
}

// Shard is the entry of id, nil if there is none.
func (m *Map) Shard(id kv.ShardID) *Shard {
	if id == kv.SystemShard {
		return &m.System
	}
	for i := range m.Shards {
		if m.Shards[i].ID == id {
			return &m.Shards[i]
		}
	}
	return nil
}

// Validate checks invariant 1.
func (m *Map) Validate() error {
	if len(m.Shards) == 0 {
		return fmt.Errorf("%w: the shard map holds no data shard", kv.ErrCorrupt)
	}
	var start []byte
	for i, s := range m.Shards {
		last := i == len(m.Shards)-1
		switch {
		case !bytes.Equal(s.Range.Start, start):
			return fmt.Errorf("%w: shard %v starts at %q, the one before ends at %q",
				kv.ErrCorrupt, s.ID, s.Range.Start, start)
		case s.Range.Empty():
			return fmt.Errorf("%w: shard %v has the empty range %v", kv.ErrCorrupt, s.ID, s.Range)
		case last != (s.Range.End == nil):
			return fmt.Errorf("%w: shard %v has the range %v, but only the last is without end",
				kv.ErrCorrupt, s.ID, s.Range)
		}
		start = s.Range.End
	}
	return nil
}

// Layout is what a new cluster is made of.
type Layout struct {
	// Nodes are all nodes, in any order.
	Nodes []kv.NodeID
	// Shards is how many data shards to begin with, at least 1.
	Shards int
	// SplitAt are the keys that part the shards, strictly ascending: one
	// fewer than Shards. Nil splits the key space at even points.
	SplitAt [][]byte
	// Replicas is how many nodes hold a shard at most.
	Replicas int
}

// ShardsMax bounds the shards that a cluster can begin with.
const ShardsMax = 1024

// Build is the map of a new cluster. The same layout gives the same map on
// every node. Leaders are spread evenly; a lone data shard is led where the
// system shard is, so that its revisions cost no round trip.
func (l Layout) Build() (Map, error) {
	splits, err := l.splits()
	if err != nil {
		return Map{}, err
	}
	nodes := slices.Clone(l.Nodes)
	slices.Sort(nodes)
	m := Map{System: Shard{ID: kv.SystemShard, Epoch: 1, Nodes: pick(nodes, 0, l.Replicas)}}
	var start []byte
	for i := range l.Shards {
		var end []byte
		if i < len(splits) {
			end = splits[i]
		}
		m.Shards = append(m.Shards, Shard{
			ID:    kv.ShardID(i + 1),
			Range: kv.Range{Start: start, End: end},
			Epoch: 1,
			Nodes: pick(nodes, i, l.Replicas),
		})
		start = end
	}
	return m, m.Validate()
}

func (l Layout) splits() ([][]byte, error) {
	switch {
	case len(l.Nodes) == 0:
		return nil, kv.Invalid("a cluster needs at least one node")
	case l.Replicas < 1:
		return nil, kv.Invalid("replicas: %d, need at least 1", l.Replicas)
	case l.Shards < 1 || l.Shards > ShardsMax:
		return nil, kv.Invalid("initial-shards: %d is outside 1 to %d", l.Shards, ShardsMax)
	case l.SplitAt == nil:
		return EvenSplits(l.Shards), nil
	case len(l.SplitAt) != l.Shards-1:
		return nil, kv.Invalid("split-at: %d keys part the key space into %d shards, "+
			"but initial-shards is %d", len(l.SplitAt), len(l.SplitAt)+1, l.Shards)
	}
	var before []byte
	for _, key := range l.SplitAt {
		if bytes.Compare(key, before) <= 0 {
			return nil, kv.Invalid("split-at: key %q does not come after %q", key, before)
		}
		before = key
	}
	return l.SplitAt, nil
}

// pick takes up to n nodes round robin, beginning at the first'th.
func pick(nodes []kv.NodeID, first, n int) []kv.NodeID {
	n = min(n, len(nodes))
	out := make([]kv.NodeID, n)
	for i := range out {
		out[i] = nodes[(first+i)%len(nodes)]
	}
	return out
}

// EvenSplits are the n-1 two-byte keys that part all byte strings into n even
// ranges.
func EvenSplits(n int) [][]byte {
	splits := make([][]byte, 0, n-1)
	for i := 1; i < n; i++ {
		at := i * 0x10000 / n
		splits = append(splits, []byte{byte(at >> 8), byte(at)})
	}
	return splits
}

// Encode is m as nodes tell it to each other.
func (m *Map) Encode() []byte {
	data, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("placement: a map always encodes: %v", err))
	}
	return data
}

// DecodeMap reads what Encode wrote and validates it.
func DecodeMap(data []byte) (Map, error) {
	var m Map
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%w: shard map: %v", kv.ErrCorrupt, err)
	}
	return m, m.Validate()
}
