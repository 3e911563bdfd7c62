package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// detourTries bounds how many nodes are asked, at a time, for a way to another.
const detourTries = 3

// A link that is there and gone again, or carries a hello but nothing large, would lose
// what is on it each time. After breaksForDetour straight connections in succession that
// did not last, detours are sought first; and with each break up to breaksMax, the time
// until the straight way is tried again doubles, from Timing.Seek to 32 times that.
const (
	breaksForDetour = 2
	breaksMax       = 6
)

var errFickle = errors.New("connections don't last")

// detour is why a peer that is reached is not reached straight.
type detour struct {
	bridge *peer
	cause  error
}

func (d *detour) Error() string {
	return fmt.Sprintf("only through %s: %v", d.bridge.id, d.cause)
}

// connectByDetour reaches a peer with the help of another, if there is one that can. cause
// is why it is not reached straight.
func (t *Transport) connectByDetour(
	ctx context.Context, p *peer, purpose wire.Purpose, cause error,
) *conn {
	for _, bridge := range t.bridges(p) {
		if !bridge.straight() {
			continue // not any more: the one before took its time
		}
		if c, err := t.connectThrough(ctx, bridge, p, purpose); err == nil {
			c.detour = &detour{bridge: bridge, cause: cause}
			return c
		}
	}
	return nil
}

// connectThrough reaches a peer through a bridge.
func (t *Transport) connectThrough(
	ctx context.Context, bridge, p *peer, purpose wire.Purpose,
) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.Timing.Handshake)
	defer cancel()
	c, err := t.dial(ctx, bridge, t.opts.Timing.Handshake)
	if err != nil {
		return nil, err
	}
	call := wire.Hello{Purpose: wire.ForRelay, Onward: p.id}
	if c, err = t.introduce(ctx, c, bridge, call); err != nil {
		return nil, err
	}
	if err := t.awaitRelay(ctx, c); err != nil {
		t.release(c)
		return nil, err
	}
	return t.introduce(ctx, c, p, wire.Hello{Purpose: purpose})
}

// awaitRelay returns when all that is written to c goes to the node behind the relay.
func (t *Transport) awaitRelay(ctx context.Context, c *conn) error {
	defer c.within(t.opts.Timing.Handshake)()
	defer context.AfterFunc(ctx, c.close)()
	return c.readAgreed()
}

// bridges are some of the peers that a detour to p may lead through: the transport
// reaches them straight.
func (t *Transport) bridges(p *peer) []*peer {
	t.mu.Lock()
	var out []*peer
	for _, b := range t.peers {
		if b != p && b.straight() {
			out = append(out, b)
		}
	}
	t.mu.Unlock()
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), detourTries)]
}

// errSpent ends a detour that is not needed any more.
var errSpent = errors.New("peer can be reached straight")

// serveDetour is serve on a detour, until the peer can be reached straight: then it returns
// a connection that does, and what was sent before has arrived.
func (p *peer) serveDetour(c *conn) (straight *conn, err error) {
	defer context.AfterFunc(c.detour.bridge.ctx, c.close)()
	ctx, cancel := context.WithCancel(p.ctx)
	spent := make(chan struct{})
	var running sync.WaitGroup
	pause := p.t.opts.Timing.Seek << max(0, p.breaks.Load()-1) // one break is no pattern
	running.Go(func() {
		if straight = p.seek(ctx, pause); straight != nil {
			close(spent)
		}
	})
	err = p.serve(c, spent)
	cancel()
	running.Wait()
	if straight == nil {
		return nil, err
	}
	if errors.Is(err, errSpent) {
		err = straight.agree()
	}
	if err != nil {
		p.t.release(straight)
		return nil, err
	}
	return straight, nil
}

// judge takes in how long a straight connection lasted.
func (p *peer) judge(lasted time.Duration) {
	if lasted >= p.t.opts.Timing.Proof {
		p.breaks.Store(0)
	} else {
		p.breaks.Store(min(p.breaks.Load()+1, breaksMax))
	}
}

// seek dials a peer after each pause, until it answers or ctx ends. It does not end the
// handshake: with that, the peer would give up the detour, and what is on it.
func (p *peer) seek(ctx context.Context, pause time.Duration) *conn {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c, err := p.t.dial(ctx, p, p.t.opts.Timing.Handshake)
		if err == nil {
			c, err = p.t.meet(ctx, c, p, wire.Hello{Purpose: wire.ForMessages})
		}
		if err == nil {
			return c
		}
	}
}
