package placement

import (
	"bytes"
	"errors"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// FuzzDecodeDescriptor: a descriptor that is taken has voters, one replica a node, and is
// the same when it was encoded again.
func FuzzDecodeDescriptor(f *testing.F) {
	d := NewDescriptor(Shard{
		ID: 1, Epoch: 1, Nodes: []kv.NodeID{1, 2, 3},
		Range: kv.Range{Start: []byte("a"), End: []byte{0xff}},
	})
	f.Add(d.Encode())
	learning := d.WithLearner(2, 77)
	f.Add(learning.Encode())
	f.Add([]byte(`{"replicas":[{"id":0}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := DecodeDescriptor(data)
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		encoded := d.Encode()
		again, err := DecodeDescriptor(encoded)
		if err != nil || !bytes.Equal(again.Encode(), encoded) {
			t.Fatalf("%s is encoded as %s, %v", data, encoded, err)
		}
		nodes := map[kv.NodeID]bool{}
		for _, r := range d.Replicas {
			if at, ok := d.On(r.Node); !ok || at != r || nodes[r.Node] {
				t.Fatalf("%+v is on %v, together with %+v", r, r.Node, at)
			}
			nodes[r.Node] = true
		}
		if len(d.ConfState().GetVoters()) != d.Voters() || d.Voters() == 0 {
			t.Fatalf("%d voters of %v", d.Voters(), d.ConfState())
		}
	})
}

// FuzzDecodeMap: a map that is taken has exactly one shard for every key, and is the same
// when it was encoded again.
func FuzzDecodeMap(f *testing.F) {
	for _, splits := range [][][]byte{nil, {[]byte("m")}, {{0}, []byte("a"), {0xff, 0xff}}} {
		m, err := Layout{
			Nodes: []kv.NodeID{1, 2, 3}, Shards: len(splits) + 1, SplitAt: splits, Replicas: 3,
		}.Build()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Encode(), []byte("m"))
	}
	f.Add([]byte(`{"shards":[]}`), []byte{})
	f.Fuzz(func(t *testing.T, data, key []byte) {
		m, err := DecodeMap(data)
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		encoded := m.Encode()
		again, err := DecodeMap(encoded)
		if err != nil || !bytes.Equal(again.Encode(), encoded) {
			t.Fatalf("%s is encoded as %s, %v", data, encoded, err)
		}
		holders := 0
		for _, s := range m.Shards {
			if s.Range.Contains(key) {
				holders++
			}
		}
		if found := m.Locate(key); holders != 1 || !found.Range.Contains(key) {
			t.Fatalf("%q is in %d shards, located in %+v", key, holders, found)
		}
	})
}

// FuzzDecodeShard: an entry of the map is the same when it was encoded again.
func FuzzDecodeShard(f *testing.F) {
	f.Add(EncodeShard(Shard{
		ID: 4, Epoch: 2, Range: kv.Range{Start: []byte{0xff}}, Nodes: []kv.NodeID{1 << 60},
	}))
	f.Add([]byte(`{"id":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeShard(data)
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		encoded := EncodeShard(s)
		again, err := DecodeShard(encoded)
		if err != nil || !bytes.Equal(EncodeShard(again), encoded) {
			t.Fatalf("%s is encoded as %s, %v", data, encoded, err)
		}
	})
}
