package pebble

import (
	"bytes"
	"testing"
)

// FuzzComparer holds the comparer to what Pebble wants of it, for keys that can be
// stored; any others are made such by align, on the same side of all others.
func FuzzComparer(f *testing.F) {
	f.Add([]byte("\x04a\x00\xffb\x00\x01revision"), []byte("\x04a\x00\x01revision"))
	f.Add([]byte("\x04a\x00\x01"), []byte{4, 'a', 0, 1, 0xff})
	f.Add([]byte("\x05\x00\x00\x00\x01revision"), []byte{4, 0xff, 0xff})
	f.Add([]byte{4, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) == 0 || len(b) == 0 {
			return // no key of the engine's is empty
		}
		keyA, keyB := align(a), align(b)
		for _, pair := range [][2][]byte{{a, keyA}, {b, keyB}} {
			if !wellFormed(pair[1]) || wellFormed(pair[0]) != bytes.Equal(pair[0], pair[1]) {
				t.Fatalf("%x is aligned to %x", pair[0], pair[1])
			}
		}
		if wellFormed(b) && bytes.Compare(a, b) < 0 != (bytes.Compare(keyA, b) < 0) {
			t.Fatalf("%x is aligned to %x, past %x", a, keyA, b)
		}
		if bytes.Compare(keyA, keyB) > 0 {
			keyA, keyB = keyB, keyA
		}
		checkOrder(t, keyA, keyB)
	})
}

// checkOrder checks two keys, of which a is not above b.
func checkOrder(t *testing.T, a, b []byte) {
	prefixA, prefixB := a[:split(a)], b[:split(b)]
	if bytes.Compare(prefixA, prefixB) > 0 {
		t.Fatalf("the prefixes of %x and %x are in another order", a, b)
	}
	if split(prefixA) != len(prefixA) {
		t.Fatalf("the prefix of %x has a prefix", a)
	}
	if bytes.Compare(a, b) < 0 {
		s := separator([]byte("before"), a, b)[len("before"):]
		if bytes.Compare(s, a) < 0 || bytes.Compare(s, b) >= 0 {
			t.Fatalf("%x does not separate %x from %x", s, a, b)
		}
	}
	if s := successor(nil, a); bytes.Compare(s, a) < 0 {
		t.Fatalf("%x is the successor of %x", s, a)
	}
	next := immediateSuccessor(nil, prefixA)
	if bytes.Compare(next, a) <= 0 ||
		!bytes.Equal(prefixA, prefixB) && bytes.Compare(next, prefixB) > 0 {
		t.Fatalf("%x follows the prefix %x, and not %x", next, prefixA, prefixB)
	}
}
