package etcdapi

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// noticesMax is how many notices may wait for the sender.
const noticesMax = 16

// notice is what the sender is to do next, at the receiver's word.
type notice struct {
	// reply is to be sent; nil if there is none.
	reply *pb.WatchResponse
	// begun is told by the reply.
	begun *watch
	// ended is not heard of after the reply; 0 if nothing ended.
	ended kv.WatchID
	// progress says that the client asks how far all watches are.
	progress bool
}

// watchLink leads from a stream's receiver to its sender, who waits in
// kv.WatchStream.Next and is woken by the end of a context.
type watchLink struct {
	ctx     context.Context
	notices chan notice

	mu sync.Mutex
	// wake ends the context that the sender waits with.
	wake context.CancelFunc
}

func newWatchLink(ctx context.Context) *watchLink {
	return &watchLink{ctx: ctx, notices: make(chan notice, noticesMax), wake: func() {}}
}

// arm is a context for the sender to wait with, until the next ring. Whoever
// rang before is to be looked for after arm returned.
func (l *watchLink) arm() context.Context {
	ctx, cancel := context.WithCancel(l.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	l.wake = cancel
	return ctx
}

// ring wakes the sender.
func (l *watchLink) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
}

func (l *watchLink) close() { l.ring() }

// put hands a notice to the sender. It blocks while there are too many, and
// returns why the stream ended.
func (l *watchLink) put(n notice) error {
	select {
	case l.notices <- n:
		l.ring()
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}
