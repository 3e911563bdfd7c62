package mvcc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

// FuzzPart: a part that is taken is encoded as it was, but for lengths that are written
// longer than they have to be; and if it fits a revision, what it writes can be read.
func FuzzPart(f *testing.F) {
	f.Add(AppendPart(nil, &Part{
		Writes: []Write{
			{Key: []byte("a"), Value: []byte("v"), Create: 3, Version: 2, Lease: 7, PrevLease: 8},
			{Key: []byte("b"), Tombstone: true},
		},
		Subs: []uint32{0, 300},
	}), int64(9))
	f.Add([]byte{0}, int64(2))
	f.Add([]byte{1, 1, 'k', 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, int64(1))
	f.Fuzz(func(t *testing.T, data []byte, rev int64) {
		part, err := DecodePart(data)
		if err != nil {
			if !errors.Is(err, kv.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		encoded := AppendPart(nil, &part)
		again, err := DecodePart(encoded)
		if err != nil || !bytes.Equal(AppendPart(nil, &again), encoded) ||
			len(encoded) > len(data) {
			t.Fatalf("%x is encoded as %x, %v", data, encoded, err)
		}
		applyPart(t, part, kv.Revision(rev))
	})
}

func applyPart(t *testing.T, part Part, rev kv.Revision) {
	e := memory.New()
	b := e.NewBatch()
	fits := part.Check(rev)
	if err := ApplyPart(b, nil, 1, rev, part); (err == nil) != (fits == nil) {
		t.Fatalf("applying ends with %v, though the check says %v", err, fits)
	}
	if fits != nil {
		return
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	last := map[string]*Write{}
	for i := range part.Writes {
		last[string(part.Writes[i].Key)] = &part.Writes[i]
	}
	view := View{Reader: e, At: rev, Current: rev}
	for key, w := range last {
		resp, err := view.Range(kv.RangeRequest{Range: kv.PointRange([]byte(key))})
		if err != nil || (len(resp.KVs) == 0) != w.Tombstone {
			t.Fatalf("%q reads as %+v, %v, want %+v", key, resp, err, w)
		}
		if !w.Tombstone && (!bytes.Equal(resp.KVs[0].Value, w.Value) ||
			resp.KVs[0].ModRevision != rev || resp.KVs[0].Lease != w.Lease) {
			t.Fatalf("%q reads as %+v, want %+v", key, resp.KVs[0], w)
		}
	}
}
