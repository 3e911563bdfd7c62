package keyspace

import (
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
)

// corrupt is an error about stored bytes. It prints at most 64 of them.
func corrupt(what string, b []byte) error {
	const shown = 64
	if len(b) <= shown {
		return fmt.Errorf("%w: %s: %x", kv.ErrCorrupt, what, b)
	}
	return fmt.Errorf("%w: %s: %x… (%d bytes)", kv.ErrCorrupt, what, b[:shown], len(b))
}
