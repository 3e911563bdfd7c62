package transport

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// peer is another node. Its goroutine, run, keeps a connection to it and
// sends on it.
type peer struct {
	id        kv.NodeID
	t         *Transport
	queue     *queue
	counters  counters
	connected atomic.Bool
	// heard holds a token after the peer dialled this node: so it is up, and
	// waiting before the next attempt to reach it makes no sense.
	heard chan struct{}
	// down is set when the Handler was told so. It is run's own.
	down bool
	// breaks is how many straight connections in succession did not last.
	breaks atomic.Int32
	ctx    context.Context // ends with stop
	stop   context.CancelFunc

	mu   sync.Mutex
	node wire.Node
	in   *inbound // what the peer sends on, or sent on last; nil before the first
	out  *conn    // what run sends on, nil if nothing
	// trouble is what was logged last about either direction, "" if all is well.
	trouble struct{ out, in string }
}

// inbound is a connection that the peer dialled, until done.
type inbound struct {
	conn *conn
	done chan struct{}
}

func (in *inbound) open() bool {
	if in == nil {
		return false
	}
	select {
	case <-in.done:
		return false
	default:
		return true
	}
}

// startPeer is called with t.mu held.
func (t *Transport) startPeer(node wire.Node) *peer {
	p := &peer{
		id: node.ID, t: t, node: node,
		queue: newQueue(t.opts.Limits), heard: make(chan struct{}, 1),
	}
	p.trouble.out = "not reached yet"
	p.ctx, p.stop = context.WithCancel(t.ctx)
	t.running.Go(p.run)
	return p
}

// move takes in what is known of the node now.
func (p *peer) move(node wire.Node) {
	p.mu.Lock()
	moved := p.node.Peer != node.Peer
	p.node = node
	out := p.out
	p.mu.Unlock()
	if !moved {
		return
	}
	p.stirUp()
	if out != nil {
		out.fail(errors.New("peer has a new address"))
	}
}

func (p *peer) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.node.Peer
}

// replaceInbound makes c the connection that the peer sends on, and returns
// when the one before has delivered its last message. It refuses c, with nil, if the peer
// has given it up for another already: the end of its handshake was held up on the way,
// as by a relay, and what follows is old.
func (p *peer) replaceInbound(c *conn) (release func()) {
	mine := &inbound{conn: c, done: make(chan struct{})}
	p.mu.Lock()
	old := p.in
	if old != nil && c.greeted.Before(old.conn.greeted) {
		p.mu.Unlock()
		return nil
	}
	p.in = mine
	p.mu.Unlock()
	if old != nil {
		old.conn.fail(errors.New("replaced by a new connection of the same peer"))
		<-old.done
	}
	return func() { close(mine.done) }
}

// outward logs why the peer can't be reached, if that is new.
func (p *peer) outward(err error) { p.note(&p.trouble.out, "peer can't be reached", err) }

// reached logs that the peer is reached, and how.
func (p *peer) reached(c *conn) {
	if c.detour == nil {
		p.note(&p.trouble.out, "", nil)
	} else {
		p.note(&p.trouble.out, "peer is reached by a detour", c.detour)
	}
}

// straight reports whether the peer is reached, and without a detour.
func (p *peer) straight() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out != nil && p.out.detour == nil && p.connected.Load()
}

// via is the node that the detour to the peer leads through, 0 if there is none.
func (p *peer) via() kv.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.viaLocked()
}

func (p *peer) viaLocked() kv.NodeID {
	if p.out == nil || p.out.detour == nil {
		return 0
	}
	return p.out.detour.bridge.id
}

// inward logs a change of how it goes with what the peer dialled.
func (p *peer) inward(err error) { p.note(&p.trouble.in, "connection of a peer refused", err) }

func (p *peer) note(trouble *string, message string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	p.mu.Lock()
	changed := *trouble != text
	*trouble = text
	node := p.node
	p.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		p.t.log.Warn(message, "peer", p.id, "name", node.Name, "address", node.Peer, "cause", text)
	default:
		p.t.log.Info("peer connected", "peer", p.id, "name", node.Name, "address", node.Peer)
	}
}

// lose reports what will certainly not be sent.
func (p *peer) lose(msgs []wire.Message) {
	p.counters.dropped.Add(uint64(len(msgs)))
	var requests []wire.Message
	for _, m := range msgs {
		if m.Request != nil {
			requests = append(requests, m)
		}
	}
	if len(requests) > 0 {
		p.t.opts.Handler.Lost(p.id, requests)
	}
}

func (p *peer) status() PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PeerStatus{
		Node: p.node, Via: p.viaLocked(), Connected: p.connected.Load(), Heard: p.in.open(),
		Problem: cmp.Or(p.trouble.out, p.trouble.in), Queued: p.queue.len(),
		Counters: p.counters.snapshot(),
	}
}
