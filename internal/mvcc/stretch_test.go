package mvcc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// A stretch ends with a revision, at its bounds or at its end.
func TestReadStretch(t *testing.T) {
	e := memory.New()
	write := func(rev kv.Revision, keys string) {
		var list []Write
		for _, k := range keys {
			list = append(list, Write{
				Key: []byte(string(k)), Value: []byte("0123456789"), Create: rev, Version: 1,
			})
		}
		b := e.NewBatch()
		if err := errors.Join(Apply(b, nil, 1, rev, list), b.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	write(3, "ab")
	write(5, "c")
	write(6, "de")
	write(9, "f")
	all := kv.Range{}
	for _, test := range []struct {
		Stretch
		want string
	}{
		{Stretch{0, 20, all, 100, 1000}, "3a 3b 5c 6d 6e 9f up to r20"},
		{Stretch{3, 8, all, 100, 1000}, "5c 6d 6e up to r8"},
		{Stretch{3, 6, all, 100, 1000}, "5c 6d 6e up to r6"},
		{Stretch{9, 9, all, 100, 1000}, "up to r9"},
		{Stretch{0, 20, all, 1, 1000}, "3a 3b up to r3"},
		{Stretch{3, 20, all, 2, 1000}, "5c 6d 6e up to r6"},
		{Stretch{0, 20, all, 100, 30}, "3a 3b 5c up to r5"},
		{Stretch{0, 20, all, 0, 0}, "3a 3b up to r3"},
		{Stretch{0, 20, kv.PointRange([]byte("f")), 2, 1000}, "up to r3"},
		{Stretch{3, 20, kv.PointRange([]byte("f")), 100, 1}, "9f up to r20"},
	} {
		list, upTo, err := ReadStretch(e, 1, test.Stretch)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, event := range list {
			fmt.Fprintf(&b, "%d%s ", event.Revision, event.KV.Key)
		}
		if got := fmt.Sprintf("%sup to %v", b.String(), upTo); got != test.want {
			t.Errorf("%+v: %s, want %s", test.Stretch, got, test.want)
		}
	}
	b := e.NewBatch()
	gone := keyspace.VersionKey(nil, []byte("c"), 5)
	if err := errors.Join(b.Delete(gone), b.Commit()); err != nil {
		t.Fatal(err)
	}
	whole := Stretch{UpTo: 20, EntriesMax: 100, BytesMax: 1000}
	if _, _, err := ReadStretch(e, 1, whole); !errors.Is(err, kv.ErrCorrupt) {
		t.Errorf("an entry without a version: %v", err)
	}
}
