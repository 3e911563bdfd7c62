package pebble

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// randomKeys are keys as package keyspace makes them, of few user keys so
// that prefixes meet.
func randomKeys(rng *rand.Rand, n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		user := make([]byte, rng.IntN(4))
		for j := range user {
			user[j] = []byte{0x00, 0x01, 0x02, 0xff}[rng.IntN(4)]
		}
		keys[i] = randomKey(rng, user)
	}
	return keys
}

func randomKey(rng *rand.Rand, user []byte) []byte {
	escaped := bytes.ReplaceAll(user, []byte{0}, []byte{0, 0xff})
	switch space := byte(1 + rng.IntN(6)); space {
	case versionSpace:
		key := slices.Concat([]byte{versionSpace}, escaped, terminator)
		if rng.IntN(3) == 0 {
			return key
		}
		return binary.BigEndian.AppendUint64(key, ^rng.Uint64N(1<<uint(rng.IntN(53))))
	case 0x06:
		return []byte{byte(1 + rng.IntN(5))}
	default:
		return append([]byte{space}, user...)
	}
}

func TestComparerPassesPebblesCheck(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var prefixes [][]byte
	for _, key := range randomKeys(rng, 40) {
		prefixes = append(prefixes, key[:split(key)])
	}
	if err := pebble.CheckComparer(comparer, prefixes, nil); err != nil {
		t.Fatal(err)
	}
}

// TestSplitLaws checks what Pebble demands of Split, on all pairs of keys.
func TestSplitLaws(t *testing.T) {
	keys := randomKeys(rand.New(rand.NewPCG(2, 2)), 400)
	for _, a := range keys {
		prefix, suffix := a[:split(a)], a[split(a):]
		if split(prefix) != len(prefix) {
			t.Errorf("prefix %x of %x has a suffix itself", prefix, a)
		}
		if len(suffix) != 0 && len(suffix) != revisionBytes {
			t.Errorf("suffix of %x is %x", a, suffix)
		}
		for _, b := range keys {
			checkPair(t, a, b)
		}
	}
}

func checkPair(t *testing.T, a, b []byte) {
	t.Helper()
	want := bytes.Compare(a, b)
	if got := comparer.Compare(a, b); got != want {
		t.Errorf("Compare(%x, %x) = %d, want %d", a, b, got, want)
	}
	byPrefix := bytes.Compare(a[:split(a)], b[:split(b)])
	if byPrefix == 0 {
		byPrefix = bytes.Compare(a[split(a):], b[split(b):])
	}
	if byPrefix != want {
		t.Errorf("%x and %x compare as %d by prefix and suffix, %d as bytes", a, b, byPrefix, want)
	}
	if want >= 0 {
		return
	}
	next := comparer.ImmediateSuccessor([]byte("x"), a[:split(a)])[1:]
	samePrefix := bytes.Equal(a[:split(a)], b[:split(b)])
	if bytes.Compare(a, next) >= 0 || !samePrefix && bytes.Compare(next, b) > 0 {
		t.Errorf("ImmediateSuccessor of %x = %x, beside %x", a, next, b)
	}
	sep := comparer.Separator([]byte("x"), a, b)[1:]
	if bytes.Compare(a, sep) > 0 || bytes.Compare(sep, b) >= 0 {
		t.Errorf("Separator(%x, %x) = %x", a, b, sep)
	}
	if succ := comparer.Successor([]byte("x"), a)[1:]; bytes.Compare(a, succ) > 0 {
		t.Errorf("Successor(%x) = %x", a, succ)
	}
}

func TestSplit(t *testing.T) {
	version := binary.BigEndian.AppendUint64([]byte{0x04, 'k', 0x00, 0x01}, ^uint64(7))
	for _, c := range []struct {
		name string
		key  []byte
		want int
	}{
		{"version", version, 4},
		{"prefix alone", version[:4], 4},
		{"version space", []byte{0x04}, 1},
		{"empty", nil, 0},
		{"half a revision", version[:8], 8},
		{"successor of a version", append(bytes.Clone(version), 0), 13},
		{"another space", append([]byte{0x05}, version[1:]...), 12},
	} {
		if got := split(c.key); got != c.want {
			t.Errorf("%s: split(%x) = %d, want %d", c.name, c.key, got, c.want)
		}
	}
}
