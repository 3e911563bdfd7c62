package node

import (
	"bytes"
	"testing"

	"github.com/miruvor/miruvor/internal/member"
)

// TestDescriptionDamage flips each bit of node.json and cuts it everywhere, that of a
// new cluster and that of one that begins with a backup.
func TestDescriptionDamage(t *testing.T) {
	plain := description{Format: member.Format, Cluster: 77, Name: "n1", Shape: `nodes "n1"`}
	restoredToo := plain
	restoredToo.Restored = &restored{
		Token: "restored-1", Checksum: "ab", Revision: 9, Finished: true,
	}
	for _, desc := range []description{plain, restoredToo} {
		whole, err := desc.encode(true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeDescription(whole); err != nil {
			t.Errorf("refused whole: %v", err)
		}
		var damaged [][]byte
		for bit := range 8 * len(whole) {
			bad := bytes.Clone(whole)
			bad[bit/8] ^= 1 << (bit % 8)
			damaged = append(damaged, bad)
		}
		for size := range whole {
			damaged = append(damaged, whole[:size])
		}
		for _, bad := range damaged {
			d, err := decodeDescription(bad)
			if err == nil && d.Format <= member.Format {
				t.Errorf("accepted %q", bad)
			}
		}
	}
}

// TestDescriptionWithoutSum takes what was written before there was a checksum.
func TestDescriptionWithoutSum(t *testing.T) {
	old := description{Format: member.Format, Cluster: 77, Name: "n1", Shape: "s"}
	data, err := old.encode(false)
	if err != nil {
		t.Fatal(err)
	}
	d, err := decodeDescription(data)
	if err != nil || *d != old {
		t.Errorf("%+v, %v", d, err)
	}
}
