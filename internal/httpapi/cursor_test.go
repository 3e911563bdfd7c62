package httpapi

import (
	"reflect"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

func TestCursorRoundTrip(t *testing.T) {
	for _, want := range []kv.RangeRequest{
		{Range: kv.Range{Start: []byte("a")}, Revision: 1, Limit: 1},
		{Range: kv.Range{Start: []byte{}, End: []byte("b")}, Revision: kv.RevisionMax, Limit: 7},
		{
			Range:    kv.Range{Start: []byte{0, 0xff}, End: []byte{}},
			Revision: 300, Limit: pageKeysMax, Reverse: true, KeysOnly: true, Serializable: true,
		},
		{Range: kv.PointRange(make([]byte, 64<<10)), Revision: 5, Limit: 200, KeysOnly: true},
	} {
		got, err := decodeCursor(encodeCursor(&want))
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

// FuzzCursor: what is accepted is exactly what would be made of it.
func FuzzCursor(f *testing.F) {
	f.Add("AQgMAgtmcnVpdC9wZWFyAGZydWl0MA")
	f.Add("AQAFAgtmcnVpdC9wZWFyAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		req, err := decodeCursor(text)
		if err != nil {
			return
		}
		again, err := decodeCursor(encodeCursor(&req))
		if err != nil || !reflect.DeepEqual(again, req) {
			t.Fatalf("%+v became %+v (%v)", req, again, err)
		}
	})
}
