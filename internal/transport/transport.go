package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Transport connects a node with its peers. All methods are safe for
// concurrent use.
type Transport struct {
	opts     Options
	log      *slog.Logger
	listener net.Listener
	// inbound and snapshots hold a token for each connection that others
	// opened, and for each snapshot being received.
	inbound, snapshots chan struct{}
	unproven           unproven
	relays             relays

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	// running counts goroutines, and calls of SendSnapshot.
	running sync.WaitGroup

	mu      sync.Mutex
	closing bool
	peers   map[kv.NodeID]*peer
	conns   map[*conn]struct{}
	// strangers holds what was logged last about those that were refused,
	// by their address and id.
	strangers map[string]string
}

// Listen binds the node's peer address and begins to reach out to its peers.
// A bad option is kv.ErrInvalid; an address that can't be bound is an error
// that names it.
func Listen(opts Options) (*Transport, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	listener, err := opts.network.listen(opts.Listen)
	if err != nil {
		return nil, err
	}
	t := &Transport{
		opts: opts, log: opts.Logger, listener: listener,
		inbound:   make(chan struct{}, opts.Limits.InboundMax),
		snapshots: make(chan struct{}, opts.Limits.SnapshotsMax),
		relays:    relays{tokens: make(chan struct{}, opts.Limits.RelaysMax)},
		peers:     make(map[kv.NodeID]*peer),
		conns:     make(map[*conn]struct{}),
		strangers: make(map[string]string),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.SetPeers(opts.Peers)
	t.running.Go(t.accept)
	return t, nil
}

// Addr is the address that was bound.
func (t *Transport) Addr() net.Addr { return t.listener.Addr() }

// SetPeers replaces the nodes to talk to. New ones are dialled, those left
// out are disconnected and refused, and one whose address changed is dialled
// at the new one.
func (t *Transport) SetPeers(nodes []wire.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return
	}
	wanted := make(map[kv.NodeID]bool)
	for _, node := range nodes {
		if node.ID == t.opts.Self.ID {
			continue
		}
		wanted[node.ID] = true
		if p := t.peers[node.ID]; p != nil {
			p.move(node)
		} else {
			t.peers[node.ID] = t.startPeer(node)
		}
	}
	for id, p := range t.peers {
		if !wanted[id] {
			delete(t.peers, id)
			p.stop()
		}
	}
}

// Send hands messages to the sender of a node and returns at once. It takes
// them in order until one does not fit in the queue, and drops that and all
// after it: dropped is how many, the last of msgs. All are dropped if the
// node can't be reached or is not a peer. Messages must not be modified any
// more; msgs itself is the caller's again.
func (t *Transport) Send(to kv.NodeID, msgs ...wire.Message) (dropped int) {
	p := t.peer(to)
	if p == nil {
		return len(msgs)
	}
	dropped = len(msgs) - p.queue.put(msgs)
	p.counters.dropped.Add(uint64(dropped))
	return dropped
}

// Close ends all connections, calls of SendSnapshot included, and returns
// when nothing of the transport runs any more: no method of the Handler is
// called after. It waits for those that are running. More calls do no harm.
func (t *Transport) Close() error {
	defer t.running.Wait()
	if !t.beginClose() {
		return nil
	}
	t.cancel()
	return t.listener.Close()
}

// beginClose closes all connections, and sees to it that there are no more.
func (t *Transport) beginClose() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.closing
	t.closing = true
	for c := range t.conns {
		c.close()
	}
	return first
}

// peer is nil for a node that is not known.
func (t *Transport) peer(id kv.NodeID) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// own makes Close end a connection, and wait for release. It reports false
// if the transport is closing.
func (t *Transport) own(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.conns[c] = struct{}{}
	t.running.Add(1)
	return true
}

// release closes a connection that own took.
func (t *Transport) release(c *conn) {
	c.close()
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	t.running.Done()
}
