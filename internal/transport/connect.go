package transport

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// connect reaches a peer and introduces this node: straight, or else through another
// peer. The caller releases the connection.
func (t *Transport) connect(ctx context.Context, p *peer, purpose wire.Purpose) (*conn, error) {
	if p.breaks.Load() >= breaksForDetour {
		if c := t.connectByDetour(ctx, p, purpose, errFickle); c != nil {
			return c, nil
		}
	}
	patience := t.opts.Timing.Handshake
	if len(t.bridges(p)) > 0 {
		patience = min(patience, t.opts.Timing.Straight)
	}
	c, err := t.dial(ctx, p, patience)
	if err == nil {
		c, err = t.introduce(ctx, c, p, wire.Hello{Purpose: purpose})
	}
	switch {
	case err == nil || onlyRefusals(err) != nil:
		return c, err // who refuses does so by a detour too
	case errors.Is(err, syscall.ECONNREFUSED):
		p.breaks.Store(0) // it was the node that broke them, not the link
	}
	if c = t.connectByDetour(ctx, p, purpose, err); c != nil {
		return c, nil
	}
	return nil, err
}

// dial opens a connection, on which nothing is said yet.
func (t *Transport) dial(ctx context.Context, p *peer, patience time.Duration) (*conn, error) {
	address := p.address()
	if address == "" {
		return nil, errors.New("address is not known")
	}
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := t.opts.network.dial(dialing, address)
	if err != nil {
		return nil, plain(err)
	}
	c := newConn(raw, &t.opts)
	if !t.own(c) {
		c.close()
		return nil, errClosed
	}
	return c, nil
}

// introduce has the handshake with a peer. It releases the connection if they don't agree.
func (t *Transport) introduce(
	ctx context.Context, c *conn, p *peer, call wire.Hello,
) (*conn, error) {
	c, err := t.meet(ctx, c, p, call)
	if err != nil {
		return nil, err
	}
	if err := c.agree(); err != nil {
		t.release(c)
		return nil, err
	}
	return c, nil
}

// meet is introduce up to the word that ends the handshake, agree.
func (t *Transport) meet(
	ctx context.Context, c *conn, p *peer, call wire.Hello,
) (*conn, error) {
	call.To = p.id
	c.counters = &p.counters
	c.patient = call.Purpose == wire.ForSnapshot
	defer context.AfterFunc(ctx, c.close)()
	if err := t.greet(c, call); err != nil {
		t.release(c)
		return nil, err
	}
	return c, nil
}
