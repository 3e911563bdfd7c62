package pebble

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/kv"
)

// TestAlign checks that align keeps every stored key on its side, for keys
// of any shape.
func TestAlign(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	stored := randomKeys(rng, 300)
	for range 2000 {
		bound := slices.Clone(stored[rng.IntN(len(stored))])
		bound = bound[:len(bound)-rng.IntN(min(len(bound), 4))]
		for range rng.IntN(12) {
			bound = append(bound, []byte{0x00, 0x01, 0xff}[rng.IntN(3)])
		}
		aligned := align(bound)
		if !wellFormed(aligned) {
			t.Fatalf("align(%x) = %x is not well formed", bound, aligned)
		}
		if wellFormed(bound) != bytes.Equal(bound, aligned) {
			t.Fatalf("align(%x) = %x", bound, aligned)
		}
		for _, key := range stored {
			if (bytes.Compare(key, bound) < 0) != (bytes.Compare(key, aligned) < 0) {
				t.Fatalf("align(%x) = %x moves it past %x", bound, aligned, key)
			}
		}
	}
}

func TestMalformedVersionsAreRefused(t *testing.T) {
	e := mustOpen(t, Options{FS: vfs.NewMem()})
	defer e.Close()
	key := append([]byte{versionSpace, 'k'}, 0x00, 0x01, 'r', 'e', 'v')
	b := e.NewBatch()
	defer b.Close()
	if err := b.Set(key, nil); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("Set gave %v", err)
	}
	if err := b.Delete(key); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("Delete gave %v", err)
	}
	if !b.Empty() {
		t.Error("the batch is not empty")
	}
}
