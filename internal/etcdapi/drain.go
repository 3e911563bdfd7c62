package etcdapi

import (
	"context"

	"github.com/miruvor/miruvor/internal/kv"
)

// Drain ends all streams and all calls that wait for others, and those to come,
// as a server does that stops: clients go on elsewhere. Other calls end as they
// would.
func (a *API) Drain() { a.drain() }

// patient is for a call that waits for others: it ends with ctx or with Drain,
// with kv.ErrStopped as its cause. The caller calls release.
func (a *API) patient(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	leave := context.AfterFunc(a.draining, func() { cancel(kv.ErrStopped) })
	return ctx, func() {
		leave()
		cancel(nil)
	}
}
