package wire

import "testing"

// Whatever decodes encodes again to something that decodes to the same.
func FuzzDecodeMessage(f *testing.F) {
	for seed := range uint64(24) {
		m := newGenerator(seed, seed%2 == 0).message()
		f.Add(AppendMessage(nil, &m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, rest, err := DecodeMessage(data)
		if err != nil {
			return
		}
		if len(rest) >= len(data) {
			t.Fatalf("a message of %d bytes left %d", len(data), len(rest))
		}
		encoded := AppendMessage(nil, &m)
		again, rest, err := DecodeMessage(encoded)
		if err != nil || len(rest) != 0 || !same(m, again) {
			t.Fatalf("%+v\nencodes to %x\nand decodes to %+v, %v", m, encoded, again, err)
		}
	})
}

func FuzzDecodeSnapshotHeader(f *testing.F) {
	for seed := range uint64(8) {
		h := newGenerator(seed, seed%2 == 0).header()
		f.Add(AppendSnapshotHeader(nil, &h))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeSnapshotHeader(data)
		if err != nil {
			return
		}
		again, err := DecodeSnapshotHeader(AppendSnapshotHeader(nil, &h))
		if err != nil || !same(h, again) {
			t.Fatalf("%+v\ndecodes again to %+v, %v", h, again, err)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	f.Add(AppendHello(nil, &Hello{Cluster: 1, Node: Node{ID: 2, Name: "n2", Peer: "h:1"}, To: 3}))
	f.Add(AppendNode(nil, &Node{ID: 2, Incarnation: 9, Name: "n2", Client: "h:2"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := DecodeHello(data); err == nil {
			if again, err := DecodeHello(AppendHello(nil, &h)); err != nil || again != h {
				t.Fatalf("%+v decodes again to %+v, %v", h, again, err)
			}
		}
		if n, err := DecodeNode(data); err == nil {
			if again, err := DecodeNode(AppendNode(nil, &n)); err != nil || again != n {
				t.Fatalf("%+v decodes again to %+v, %v", n, again, err)
			}
		}
	})
}
