package transport

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
)

const relayBufferBytes = 64 << 10

// relay joins a connection of a peer with a new one to the node that the peer can't reach
// itself, and passes bytes both ways until either ends. It does not look at what it
// passes: the two ends of the detour have a handshake, checksums and signs of life of
// their own.
func (t *Transport) relay(near *conn, from *peer, onward kv.NodeID) {
	select {
	case t.relays.tokens <- struct{}{}:
		defer func() { <-t.relays.tokens }()
	default:
		near.refuse(refuse("%d detours lead through %s, the most",
			cap(t.relays.tokens), t.opts.Self.ID))
		return
	}
	to := t.peer(onward)
	far, err := t.relayTo(to, onward)
	if err != nil {
		near.refuse(err)
		return
	}
	defer t.release(far)
	defer context.AfterFunc(to.ctx, far.close)()
	t.log.Info("relays between two peers that don't reach each other",
		"from", from.id, "to", onward)
	if near.agree() == nil {
		t.passBothWays(near, far)
	}
}

// passBothWays returns when both connections have ended. When one has, the other has
// Timing.Dead left.
func (t *Transport) passBothWays(near, far *conn) {
	near.bePatient()
	far.bePatient()
	var running sync.WaitGroup
	ended := make(chan struct{}, 2)
	for _, way := range [][2]*conn{{near, far}, {far, near}} {
		running.Go(func() {
			t.pass(way[0], way[1])
			ended <- struct{}{}
		})
	}
	<-ended
	defer near.within(t.opts.Timing.Dead)()
	defer far.within(t.opts.Timing.Dead)()
	running.Wait()
}

// relayTo dials the node that a detour leads to, p if it is a peer. A detour has one relay:
// this node goes straight, or not at all.
func (t *Transport) relayTo(p *peer, onward kv.NodeID) (*conn, error) {
	switch {
	case p == nil:
		return nil, refuse("%s is not known to %s as a node of the cluster",
			onward, t.opts.Self.ID)
	case !p.straight():
		return nil, refuse("%s does not reach %s either", t.opts.Self.ID, onward)
	}
	far, err := t.dial(p.ctx, p, t.opts.Timing.Handshake)
	if err != nil {
		return nil, refuse("%s does not reach %s either: %v", t.opts.Self.ID, onward, err)
	}
	return far, nil
}

// pass writes to dst what comes from src. It passes the end on too, so that what was
// sent before arrives.
func (t *Transport) pass(dst, src *conn) {
	buf := make([]byte, relayBufferBytes)
	for {
		n, err := src.in.Read(buf)
		if n > 0 {
			t.relays.bytes.Add(uint64(n))
			if err := dst.write(buf[:n]); err != nil {
				src.fail(err)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			dst.hangUp()
			return
		}
		if err != nil {
			dst.fail(err)
			src.fail(err)
			return
		}
	}
}
