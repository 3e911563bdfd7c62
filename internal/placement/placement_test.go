package placement

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

func build(t *testing.T, nodes, shards, replicas int, splits ...string) Map {
	t.Helper()
	l := Layout{Shards: shards, Replicas: replicas}
	for i := range nodes {
		l.Nodes = append(l.Nodes, kv.NodeID(nodes-i)) // any order
	}
	for _, s := range splits {
		l.SplitAt = append(l.SplitAt, []byte(s))
	}
	m, err := l.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every key lies in exactly one shard, whatever the layout.
func TestShardsTileTheKeySpace(t *testing.T) {
	keys := [][]byte{
		{}, {0}, []byte("a"), []byte("m"), []byte("zz"), {0x7f, 0xff}, {0x80}, {0xff, 0xff, 0xff},
	}
	for _, shards := range []int{1, 2, 3, 7, 64, ShardsMax} {
		m := build(t, 3, shards, 3)
		for _, key := range keys {
			holders := 0
			for _, s := range m.Shards {
				if s.Range.Contains(key) {
					holders++
				}
			}
			if got := m.Locate(key); holders != 1 || !got.Range.Contains(key) {
				t.Errorf("%d shards: %q lies in %d of them, located in %v",
					shards, key, holders, got.Range)
			}
		}
	}
}

func TestOverlapping(t *testing.T) {
	m := build(t, 1, 4, 3, "b", "m", "t")
	for _, c := range []struct {
		r    kv.Range
		want string
	}{
		{kv.Range{}, "[s1 s2 s3 s4]"},
		{kv.PointRange([]byte("b")), "[s2]"},
		{kv.Range{End: []byte("b")}, "[s1]"},
		{kv.Range{Start: []byte("a"), End: []byte("b\x00")}, "[s1 s2]"},
		{kv.Range{Start: []byte("t")}, "[s4]"},
		{kv.Range{Start: []byte("n"), End: []byte("n")}, "[]"},
	} {
		ids := []kv.ShardID{}
		for _, s := range m.Overlapping(c.r) {
			ids = append(ids, s.ID)
		}
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("%v overlaps %s, want %s", c.r, got, c.want)
		}
	}
}

// A lone data shard is led where the oracle is; several are led in turn.
func TestLeadersAreSpread(t *testing.T) {
	lone := build(t, 3, 1, 3)
	if lone.Shards[0].Nodes[0] != lone.System.Nodes[0] {
		t.Error("the lone shard is led away from the oracle")
	}
	led := map[kv.NodeID]int{}
	for _, s := range build(t, 5, 10, 3).Shards {
		led[s.Nodes[0]]++
		if len(s.Nodes) != 3 {
			t.Errorf("shard %v has %d replicas", s.ID, len(s.Nodes))
		}
	}
	for node, n := range led {
		if n != 2 {
			t.Errorf("%v leads %d of 10 shards in a cluster of 5", node, n)
		}
	}
}

func TestLayoutsThatAreRefused(t *testing.T) {
	for name, l := range map[string]Layout{
		"no node":     {Shards: 1, Replicas: 1},
		"no shard":    {Nodes: []kv.NodeID{1}, Replicas: 1},
		"many shards": {Nodes: []kv.NodeID{1}, Shards: ShardsMax + 1, Replicas: 1},
		"no replica":  {Nodes: []kv.NodeID{1}, Shards: 1},
		"few splits":  {Nodes: []kv.NodeID{1}, Shards: 3, Replicas: 1, SplitAt: [][]byte{{1}}},
		"unsorted":    {Nodes: []kv.NodeID{1}, Shards: 3, Replicas: 1, SplitAt: [][]byte{{2}, {1}}},
		"empty split": {Nodes: []kv.NodeID{1}, Shards: 2, Replicas: 1, SplitAt: [][]byte{{}}},
	} {
		if _, err := l.Build(); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMapSurvivesStorage(t *testing.T) {
	m := build(t, 3, 4, 3, "b", "m", "t")
	e := memory.New()
	b := e.NewBatch()
	if err := errors.Join(StoreMap(b, m), b.Commit()); err != nil {
		t.Fatal(err)
	}
	stored, err := LoadMap(e)
	if err != nil || !bytes.Equal(stored.Encode(), m.Encode()) {
		t.Errorf("stored %s, want %s: %v", stored.Encode(), m.Encode(), err)
	}
	sent, err := DecodeMap(m.Encode())
	if err != nil || !bytes.Equal(sent.Encode(), m.Encode()) {
		t.Errorf("decoded %s: %v", sent.Encode(), err)
	}
	gap := m
	gap.Shards = gap.Shards[1:]
	if _, err := DecodeMap(gap.Encode()); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("a map with a gap: %v", err)
	}
}

// The steps that replace a lost replica never reuse an id and never leave two
// replicas on a node.
func TestReplacingAReplica(t *testing.T) {
	m := build(t, 3, 1, 3)
	d := NewDescriptor(m.Shards[0])
	lost, _ := d.On(2)
	steps := []Descriptor{d}
	steps = append(steps, steps[0].Without(lost.ID))
	steps = append(steps, steps[1].WithLearner(2, 77))
	learner, _ := steps[2].On(2)
	steps = append(steps, steps[2].WithVoter(learner.ID))
	voters := []int{3, 2, 2, 3}
	for i, s := range steps {
		if err := s.Validate(); err != nil || s.Voters() != voters[i] {
			t.Errorf("step %d: %d voters, %v", i, s.Voters(), err)
		}
		back, err := DecodeDescriptor(s.Encode())
		if err != nil || !bytes.Equal(back.Encode(), s.Encode()) {
			t.Errorf("step %d does not survive encoding: %v", i, err)
		}
	}
	if learner.ID != 4 || learner.Incarnation != 77 || steps[3].MemberEpoch != 4 {
		t.Errorf("the new replica is %+v at epoch %d", learner, steps[3].MemberEpoch)
	}
	twice := d
	twice.Replicas = append(twice.Replicas[:2:2], twice.Replicas[1])
	if err := twice.Validate(); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("two replicas on a node: %v", err)
	}
}
