package mvcc

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// pairBytes is about what a key takes in an answer or an effect beside its bytes.
const pairBytes = 32

// budget is what a request may still take, in its answer and by deleting: a
// request is small, but what it names has no bound. One of most 0 has none
// either.
type budget struct{ most, spent int }

// spend takes a key with size bytes of its own and its value, or returns
// kv.ErrTooLarge.
func (b *budget) spend(size int) error {
	b.spent += size + pairBytes
	if b.most > 0 && b.spent > b.most {
		return fmt.Errorf("%w: what it returns or deletes takes over %d bytes; "+
			"ask in parts, with a limit", kv.ErrTooLarge, b.most)
	}
	return nil
}
