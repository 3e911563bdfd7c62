package grpcserver

import (
	"context"
	"sync"
	"time"
)

// life is the context of a call: it ends with the call's deadline, or when end is
// called. Its values are those of a context that many calls share. What nobody
// looks at costs nothing: the channel and the timer are made when Done is called.
type life struct {
	values   context.Context
	deadline time.Time
	// expired is called, once, when the deadline passes while somebody waits.
	expired func()

	mu    sync.Mutex
	err   error
	done  chan struct{}
	timer *time.Timer
}

// Deadline implements context.Context.
func (l *life) Deadline() (deadline time.Time, ok bool) {
	return l.deadline, !l.deadline.IsZero()
}

// Done implements context.Context.
func (l *life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done != nil {
		return l.done
	}
	l.done = make(chan struct{})
	switch {
	case l.err != nil:
		close(l.done)
	case !l.deadline.IsZero():
		l.timer = time.AfterFunc(time.Until(l.deadline), func() {
			l.end(context.DeadlineExceeded)
			l.expired()
		})
	}
	return l.done
}

// Err implements context.Context.
func (l *life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.deadline.IsZero() && !time.Now().Before(l.deadline) {
		return context.DeadlineExceeded
	}
	return l.err
}

// Value implements context.Context.
func (l *life) Value(key any) any { return l.values.Value(key) }

// end ends it for a reason. Only the first counts.
func (l *life) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.done != nil {
		close(l.done)
	}
}
