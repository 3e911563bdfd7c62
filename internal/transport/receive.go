package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// acceptPause follows a failure to accept, as when files run out.
const acceptPause = 100 * time.Millisecond

// strangersMax bounds how many are remembered that were refused.
const strangersMax = 64

// accept takes connections in until the listener is closed.
func (t *Transport) accept() {
	for {
		raw, err := t.listener.Accept()
		if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				_ = raw.Close() // it comes too late
			}
			return
		}
		if err != nil {
			t.stranger("listener", err)
			t.pause(acceptPause)
			continue
		}
		t.take(raw)
	}
}

func (t *Transport) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}

// take starts to serve a connection, if there is room for it.
func (t *Transport) take(raw net.Conn) {
	c := newConn(raw, &t.opts)
	if !t.makeRoom() {
		t.stranger(host(raw), refuse("%d connections are open, the most", cap(t.inbound)))
		c.close()
		return
	}
	if !t.own(c) {
		<-t.inbound
		c.close()
		return
	}
	t.unproven.add(c)
	t.running.Go(func() {
		t.receive(c)
		t.release(c)
		<-t.inbound
	})
}

// makeRoom takes a token for a connection. If there is none, the one that has been open
// longest without showing that it is a peer's gives its own: however many strangers
// connect, peers come through.
func (t *Transport) makeRoom() bool {
	select {
	case t.inbound <- struct{}{}:
		return true
	default:
	}
	oldest := t.unproven.oldest()
	if oldest == nil {
		return false
	}
	oldest.close()
	select {
	case t.inbound <- struct{}{}: // its goroutine ends
		return true
	case <-t.ctx.Done():
		return false
	}
}

// receive serves a connection that someone dialled, until it fails.
func (t *Transport) receive(c *conn) {
	hello, err := t.admit(c)
	t.unproven.remove(c)
	p := t.peer(hello.Node.ID)
	if err != nil || p == nil {
		t.turnedAway(c, p, &hello, err)
		return
	}
	defer context.AfterFunc(p.ctx, c.close)()
	if hello.Purpose == wire.ForRelay {
		t.relay(c, p, hello.Onward)
		return
	}
	c.counters = &p.counters
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(c.keepAlive)
	defer c.close()

	if hello.Purpose == wire.ForSnapshot {
		t.receiveSnapshot(c, p)
		return
	}
	release := p.replaceInbound(c)
	if release == nil {
		return
	}
	defer release()
	p.inward(nil)
	p.stirUp()
	err = p.receiveMessages(c)
	if errors.Is(err, errHungUp) {
		_ = c.agree() // to the end; the peer waits for this if it goes on elsewhere
	}
	c.refuse(err)
	p.inward(onlyRefusals(err))
}

// turnedAway logs that a connection came to nothing.
func (t *Transport) turnedAway(c *conn, p *peer, hello *wire.Hello, err error) {
	if p == nil {
		t.stranger(fmt.Sprintf("%s %s", host(c.raw), hello.Node.ID), err)
	} else if r := onlyRefusals(err); r != nil {
		p.inward(r)
	}
}

// stranger logs what became of a connection of someone who is no peer, once
// until it changes.
func (t *Transport) stranger(who string, err error) {
	if t.ctx.Err() != nil || err == nil {
		return
	}
	text := err.Error()
	t.mu.Lock()
	known := t.strangers[who] == text
	if len(t.strangers) >= strangersMax {
		clear(t.strangers)
	}
	t.strangers[who] = text
	t.mu.Unlock()
	if !known {
		t.log.Warn("connection refused", "from", who, "cause", text)
	}
}

func host(raw net.Conn) string {
	address := raw.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// stirUp makes run try to reach the peer at once.
func (p *peer) stirUp() {
	select {
	case p.heard <- struct{}{}:
	default:
	}
}

// receiveMessages hands on what the peer sends until the connection fails,
// and returns why.
func (p *peer) receiveMessages(c *conn) error {
	for {
		kind, payload, err := c.read()
		switch {
		case err != nil:
			return err
		case kind != frameMessages:
			return errUnexpectedFrame(kind)
		}
		msgs, malformed, err := readBatch(payload)
		if err != nil {
			return refuse("%v", err)
		}
		p.counters.messagesReceived.Add(uint64(len(msgs)))
		if malformed > 0 && p.counters.malformed.Add(uint64(malformed)) == uint64(malformed) {
			p.t.log.Error("messages of a peer can't be read; only the first are logged",
				"peer", p.id, "count", malformed)
		}
		if len(msgs) > 0 {
			p.t.opts.Handler.Receive(p.id, msgs)
		}
	}
}

// onlyRefusals leaves out that a connection ended: a node that stops is
// reported where it is dialled.
func onlyRefusals(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	return nil
}

func errUnexpectedFrame(kind frameKind) error {
	return refuse("a frame of kind %d has no place here", kind)
}
