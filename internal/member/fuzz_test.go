package member

import (
	"errors"
	"testing"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// store is an engine with one pair in it.
func store(t *testing.T, put func(engine.Batch) error) engine.Engine {
	e := memory.New()
	b := e.NewBatch()
	if err := errors.Join(put(b), b.Commit()); err != nil {
		t.Fatal(err)
	}
	return e
}

// FuzzIdentity: an identity that is taken is the same when it was written again; any
// other is refused as damaged, or as of a newer version.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"cluster":"9","node":"2","name":"n2","incarnation":"7","role":1}`))
	f.Add([]byte(`{"format":2,"cluster":"18446744073709551616"}`))
	f.Add([]byte(`{"format":1,"cluster":9,"role":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := store(t, func(b engine.Batch) error {
			return b.Set(keyspace.NodeKey(keyspace.KindIdentity), data)
		})
		id, ok, err := LoadIdentity(e)
		switch {
		case err == nil && !ok:
			t.Fatal("an identity that is there is not found")
		case errors.Is(err, kv.ErrCorrupt), errors.Is(err, kv.ErrInvalid) && id.Format > Format:
			return
		case err != nil:
			t.Fatal(err)
		}
		again, _, err := LoadIdentity(store(t, id.put))
		if err != nil || again != id {
			t.Fatalf("%+v is read again as %+v, %v", id, again, err)
		}
	})
}

// FuzzPeers: whatever is on record of peers, it is taken or refused as damaged.
func FuzzPeers(f *testing.F) {
	f.Add(keyspace.PeerKey(nil, 7), []byte("12345678"))
	f.Add(append(keyspace.PeerKey(nil, 7), 0), []byte("1234567"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) == 0 {
			return
		}
		e := store(t, func(b engine.Batch) error { return b.Set(key, value) })
		peers, err := loadPeers(e)
		if err != nil && !errors.Is(err, kv.ErrCorrupt) {
			t.Fatal(err)
		}
		for node, incarnation := range peers {
			if string(keyspace.PeerKey(nil, node)) != string(key) || len(value) != 8 {
				t.Fatalf("%x: %x is taken for %v of %v", key, value, incarnation, node)
			}
		}
	})
}
