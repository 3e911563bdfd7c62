package replica

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
)

// A promise is kept from the very entry on that it names, and no sooner. A later
// one is not forgotten over an earlier one.
func TestPromises(t *testing.T) {
	var c closing
	at := func(index uint64, want kv.Revision) {
		t.Helper()
		if c.settle(index); c.upTo != want {
			t.Errorf("at index %d %v is closed, not %v", index, c.upTo, want)
		}
	}
	c.heard(10, 7)
	at(6, 0)
	at(7, 10)
	c.heard(20, 9)
	c.heard(15, 8)
	at(8, 10)
	at(9, 20)
	c.applied(18)
	at(10, 20)
}
