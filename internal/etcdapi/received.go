package etcdapi

import (
	"errors"
	"io"
)

// received is how a stream ends whose client sent no more: well, if it said so.
func received(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
