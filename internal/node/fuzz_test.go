package node

import (
	"testing"

	"github.com/miruvor/miruvor/internal/member"
)

// FuzzDescription: of this version's descriptions of a directory only those are taken
// that this version writes, to the byte.
func FuzzDescription(f *testing.F) {
	whole, err := description{
		Format: member.Format, Cluster: 9, Name: "n1", Shape: "1 shard", Restored: &restored{},
	}.encode(true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	former, err := description{Format: member.Format, Name: "n1"}.encode(false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(former)
	f.Add([]byte(`{"format":99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decodeDescription(data)
		if err != nil || d.Format > member.Format {
			return
		}
		if again, err := d.encode(d.Sum != ""); err != nil || string(again) != string(data) {
			t.Fatalf("%s is written as %s, %v", data, again, err)
		}
		changed := append([]byte(nil), data...)
		for i := range changed {
			changed[i] ^= 1
			if d, err := decodeDescription(changed); err == nil && d.Sum != "" &&
				d.Format <= member.Format {
				t.Fatalf("%s is taken, a bit off %s", changed, data)
			}
			changed[i] ^= 1
		}
	})
}
