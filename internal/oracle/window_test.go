package oracle

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// A window that was set is kept over terms, and bounds how far the mark runs ahead.
func TestWindow(t *testing.T) {
	o := Oracle{Window: Window{First: 2, Max: 4}}
	for term, mark := 0, kv.Revision(10); term < 2; term++ {
		first := o.Lead(mark)
		if first != mark+2 {
			t.Fatalf("term %d begins with mark %v after %v", term, first, mark)
		}
		o.Committed(first)
		if base, ok := o.Take(3); ok {
			t.Errorf("took 3 of 2, from %v", base)
		}
		for range 4 {
			last := o.Last()
			next, ok := o.Extend(3)
			if !ok || next > last+3+4 {
				t.Fatalf("mark %v, %v, while 3 are needed after %v", next, ok, last)
			}
			o.Committed(next)
			if _, ok := o.Take(3); !ok {
				t.Fatal("3 are not to be had, though there is room")
			}
			for _, ok = o.Take(1); ok; _, ok = o.Take(1) {
			}
			mark = next
		}
		o.Follow()
	}
}
