package pebble

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// wrap says what failed, and marks damaged files as kv.ErrCorrupt. nil and
// engine.ErrNotFound stay as they are.
func wrap(err error, what string) error {
	if err == nil || err == engine.ErrNotFound {
		return err
	}
	if d, ok := readDamage(err); ok {
		return fmt.Errorf("pebble: %s: %w", what, d)
	}
	if pebble.IsCorruptionError(err) && !errors.Is(err, kv.ErrCorrupt) {
		return fmt.Errorf("pebble: %s: %w: %w", what, kv.ErrCorrupt, err)
	}
	return fmt.Errorf("pebble: %s: %w", what, err)
}

// wrapKey is wrap for what failed at a key. It costs nothing without an
// error.
func wrapKey(err error, what string, key []byte) error {
	if err == nil || err == engine.ErrNotFound {
		return err
	}
	return wrap(err, fmt.Sprintf("%s %x", what, key))
}

// joinClose closes c because of err.
func joinClose(err error, c io.Closer) error {
	return errors.Join(err, c.Close())
}
