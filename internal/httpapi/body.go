package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/miruvor/miruvor/internal/kv"
)

// readBody reads the whole body, of at most bytesMax bytes.
func readBody(w http.ResponseWriter, r *http.Request, bytesMax int) ([]byte, error) {
	size := r.ContentLength
	if size > int64(bytesMax) {
		return nil, fmt.Errorf("%w: the body is %d bytes, the most is %d",
			kv.ErrTooLarge, size, bytesMax)
	}
	var body []byte
	var err error
	if size >= 0 {
		body = make([]byte, size)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(bytesMax)))
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fmt.Errorf("%w: the body is more than %d bytes", kv.ErrTooLarge, bytesMax)
	case err != nil:
		return nil, kv.Invalid("the body cannot be read: %v", err)
	}
	return body, nil
}
