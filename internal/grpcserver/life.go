package grpcserver

import (
	"context"
	"errors"
	"slices"
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
	// after are called when it ends.
	after []*func()
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
	err := l.err
	if err == nil && !l.deadline.IsZero() && !time.Now().Before(l.deadline) {
		err = context.DeadlineExceeded
	}
	ended := l.err != nil
	l.mu.Unlock()
	if err != nil && !ended {
		l.end(err)
		return l.Err()
	}
	return err
}

// Value implements context.Context.
func (l *life) Value(key any) any { return l.values.Value(key) }

// AfterFunc has f called when the life ends, unless stop is called before. Contexts
// that are derived from this one use it: without it each would need a goroutine.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		go f()
		return func() bool { return false }
	}
	call := &f
	l.after = append(l.after, call)
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		i := slices.Index(l.after, call)
		if i >= 0 {
			l.after = slices.Delete(l.after, i, i+1)
		}
		return i >= 0
	}
}

// end ends it for a reason. Only the first counts.
func (l *life) end(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	if l.timer != nil && !errors.Is(err, context.DeadlineExceeded) {
		l.timer.Stop() // else it has to call expired
	}
	if l.done != nil {
		close(l.done)
	}
	after := l.after
	l.after = nil
	l.mu.Unlock()
	for _, f := range after {
		(*f)()
	}
}
