package keyspace

import (
	"bytes"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func FuzzParseAlarms(f *testing.F) {
	f.Add(AppendAlarms(nil, Alarms{}))
	f.Add(AppendAlarms(nil, Alarms{Index: 300, Raised: []kv.Alarm{
		{Node: 1, Kind: kv.AlarmNoSpace},
		{Node: 300, Kind: kv.AlarmNoSpace},
		{Node: 300, Kind: kv.AlarmCorrupt},
	}}))
	f.Add([]byte{1, 2, 1, 2, 1})
	f.Add([]byte{1, 2, 128})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAlarms(b)
		if refused(t, err) {
			return
		}
		if again := AppendAlarms(nil, a); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

// TestBadAlarms: one state has one encoding.
func TestBadAlarms(t *testing.T) {
	for what, b := range map[string][]byte{
		"twice": {1, 2, 1, 2, 1}, "out of order": {1, 2, 2, 2, 1}, "no node": {1, 0, 1},
		"no kind": {1, 2}, "kind 0": {1, 2, 0}, "nothing": {},
	} {
		if a, err := ParseAlarms(b); !refused(t, err) {
			t.Errorf("%s: %x is taken for %+v", what, b, a)
		}
	}
}
