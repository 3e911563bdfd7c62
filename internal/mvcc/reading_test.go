package mvcc

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/miruvor/miruvor/internal/engine/memory"
	"github.com/miruvor/miruvor/internal/kv"
)

// A range read in parts is the range read at once, whatever the parts.
func TestReadingInParts(t *testing.T) {
	e := memory.New()
	b := e.NewBatch()
	for i := range kv.Revision(10) {
		key := fmt.Appendf(nil, "k%d", i)
		if i == 1 {
			key = []byte("k0\x00")
		}
		w := Write{Key: key, Value: []byte("v"), Create: i + 2, Version: 1}
		if err := Apply(b, nil, 1, i+2, []Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	v := View{Reader: e, At: 10, Current: 10}
	all := kv.Range{Start: []byte("k"), End: []byte("l")}
	for _, req := range []kv.RangeRequest{
		{Range: all},
		{Range: all, Reverse: true},
		{Range: all, CountOnly: true},
		{Range: all, Limit: 4},
		{Range: all, Limit: 4, WantCount: true, Reverse: true},
		{Range: all, Limit: 9},
		{Range: all, BytesMax: 7},
		{Range: all, Revision: 5},
		{Range: kv.PointRange([]byte("k3"))},
		// What is left of these before or behind a key looks like a range of one.
		{Range: kv.Range{Start: []byte("k0")}, Reverse: true},
		{Range: kv.Range{Start: []byte("k1"), End: []byte("k9\x00\x00")}},
		{Range: kv.Range{Start: []byte("k1"), End: []byte("k9\x00\x00")}, CountOnly: true},
		{Range: kv.Range{Start: []byte("x"), End: []byte("x")}},
	} {
		want, err := v.Range(req)
		if err != nil {
			t.Fatal(err)
		}
		for keysMax := 1; keysMax < 12; keysMax++ {
			r, err := NewReading(v, req)
			if err != nil {
				t.Fatal(err)
			}
			parts := 1
			for {
				done, err := r.Next(keysMax)
				if err != nil {
					t.Fatal(err)
				}
				if done {
					break
				}
				parts++
			}
			if got := r.Response(); !reflect.DeepEqual(got, want) || parts > 10/keysMax+1 {
				t.Errorf("%+v in parts of %d, %d of them: %+v, not %+v",
					req, keysMax, parts, got, want)
			}
		}
	}
}
