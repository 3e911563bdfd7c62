package etcdimport

import (
	"bytes"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// FuzzMark: whatever stands in the key of the mark, it is refused or is one that
// is written as it was read.
func FuzzMark(f *testing.F) {
	f.Add(mark{Source: 1, Revision: 2, Copied: true, By: 3, Seq: 4}.encode())
	f.Add(mark{Source: 1<<64 - 1, Revision: kv.RevisionMax, After: []byte{0, 255}}.encode())
	f.Add([]byte(`{"source":"1","revision":0,"copied":false,"by":"3","seq":4}`))
	f.Add([]byte(`{"source":"1","revision":2} more`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decodeMark(text)
		if err != nil {
			return
		}
		again, err := decodeMark(m.encode())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(again.encode(), m.encode()) || again.Revision != m.Revision {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}
