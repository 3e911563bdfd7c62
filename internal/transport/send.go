package transport

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// run keeps a connection to the peer and sends on it what is queued, until
// the peer is stopped. When a first attempt has failed, what waits for the
// peer is lost, and what is sent to it is dropped, until it is reached.
func (p *peer) run() {
	retry := backoff{timing: p.t.opts.Timing}
	for p.ctx.Err() == nil {
		c, err := p.t.connect(p.ctx, p, wire.ForMessages)
		if err != nil {
			p.lose(p.queue.shut())
			p.unreachable(err)
			retry.wait(p.ctx, p.heard)
			continue
		}
		began := time.Now()
		p.serveAll(c)
		if time.Since(began) > p.t.opts.Timing.RetryMax {
			retry.reset()
		} else {
			retry.wait(p.ctx, nil) // it works, but not for long
		}
	}
	p.lose(p.queue.shut())
}

// serveAll sends on a connection until it fails, and on the straight one that follows if
// it was a detour.
func (p *peer) serveAll(c *conn) {
	for c != nil {
		var next *conn
		var err error
		if c.detour == nil {
			began := time.Now()
			err = p.serve(c, nil)
			p.judge(time.Since(began))
		} else {
			next, err = p.serveDetour(c)
		}
		p.t.release(c)
		c = next
		if err != nil {
			p.unreachable(err)
		}
	}
}

// unreachable reports that there is no connection, once.
func (p *peer) unreachable(err error) {
	if p.ctx.Err() != nil {
		return
	}
	p.outward(err)
	if !p.down {
		p.down = true
		p.t.opts.Handler.Unreachable(p.id)
	}
}

// serve sends on a connection until it fails, and returns why. What still
// waits then may go by the next connection, if there is one at once. When spent is
// closed, it returns errSpent once all that was sent has arrived.
func (p *peer) serve(c *conn, spent <-chan struct{}) error {
	p.setOut(c)
	defer p.setOut(nil)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(c.keepAlive)
	running.Go(c.watch)

	p.counters.connects.Add(1)
	p.reached(c)
	p.down = false
	p.queue.reopen()
	p.connected.Store(true)
	defer p.connected.Store(false)
	defer context.AfterFunc(p.ctx, c.close)()

	out := batch{limits: p.t.opts.Limits}
	var msgs []wire.Message
	for {
		select {
		case <-p.queue.ready:
		case <-c.done:
			return c.cause
		case <-spent:
			return c.drain()
		}
		msgs = p.queue.take(msgs)
		if unsent, err := p.write(c, &out, msgs); err != nil {
			p.lose(unsent)
			return err
		}
		clear(msgs)
	}
}

// write sends messages. On an error it returns those that were certainly not
// sent: a frame that was not written whole fails its checksum.
func (p *peer) write(c *conn, out *batch, msgs []wire.Message) (unsent []wire.Message, err error) {
	for len(msgs) > 0 {
		frame, taken := out.fill(msgs)
		if taken == 0 {
			msgs = p.dropOversize(msgs)
			continue
		}
		if err := c.write(frame); err != nil {
			return msgs, err
		}
		p.counters.messagesSent.Add(uint64(taken))
		msgs = msgs[taken:]
	}
	return nil, nil
}

// dropOversize drops the first message, which is too large for a frame. An
// answer is replaced by an error that says so.
func (p *peer) dropOversize(msgs []wire.Message) []wire.Message {
	bytesMax := p.t.opts.Limits.FrameBytesMax
	p.t.log.Error("message is too large and was dropped", "peer", p.id,
		"bytes", msgs[0].SizeHint(), "bytes_max", bytesMax)
	if answer := msgs[0].Response; answer != nil {
		if instead := answer.Oversize(bytesMax); instead != nil {
			msgs[0] = wire.Message{Response: instead}
			return msgs
		}
	}
	p.lose(msgs[:1])
	return msgs[1:]
}

func (p *peer) setOut(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = c
}

// watch reads from a connection that this node sends on: the peer says
// nothing there but that it lives, that it has taken all, or that it refuses after all.
func (c *conn) watch() {
	kind, payload, err := c.read()
	switch {
	case err != nil:
		c.fail(err)
	case kind == frameAgreed:
		c.fail(errTaken)
	case kind == frameRefusal:
		c.fail(refusedByPeer(payload))
	default:
		c.fail(errUnexpectedFrame(kind))
	}
}

// backoff spaces out attempts to reach a peer.
type backoff struct {
	timing Timing
	last   time.Duration
}

func (b *backoff) reset() { b.last = 0 }

// wait returns after twice the time of the wait before, with jitter, or
// when cut comes or ctx ends.
func (b *backoff) wait(ctx context.Context, cut <-chan struct{}) {
	b.last = min(max(2*b.last, b.timing.RetryMin), b.timing.RetryMax)
	timer := time.NewTimer(b.last/2 + rand.N(b.last/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-cut:
	case <-ctx.Done():
	}
}
