package backup

import (
	"context"
	"errors"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// pauses lie between the attempts of a request.
var pauses = [...]time.Duration{
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second,
}

// final are errors that another attempt would meet again.
var final = [...]error{
	kv.ErrCompacted, kv.ErrFutureRevision, kv.ErrInvalid, kv.ErrLeaseNotFound, kv.ErrCorrupt,
	kv.ErrStopped,
}

// persist makes a request until it succeeds, or fails for good. The first request
// of a backup has one attempt: nothing is lost with it.
func (j *job) persist(ctx context.Context, request func() error) error {
	err := request()
	for _, pause := range pauses {
		if err == nil || j.out == nil || isFinal(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
		err = request()
	}
	return err
}

func isFinal(err error) bool {
	for _, one := range final {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}
