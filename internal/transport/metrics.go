package transport

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// counters count what passes between this node and a peer.
type counters struct {
	framesSent, messagesSent, bytesSent             atomic.Uint64
	framesReceived, messagesReceived, bytesReceived atomic.Uint64
	dropped, malformed, connects                    atomic.Uint64
}

// Counters count, from the start of the process, what passed between this
// node and a peer, snapshots included.
type Counters struct {
	FramesSent, MessagesSent, BytesSent             uint64
	FramesReceived, MessagesReceived, BytesReceived uint64
	// Dropped counts messages to the peer that were certainly not sent.
	Dropped uint64
	// Malformed counts messages of the peer that could not be read.
	Malformed uint64
	// Connects counts how often the peer was reached.
	Connects uint64
}

func (c *counters) snapshot() Counters {
	return Counters{
		FramesSent:       c.framesSent.Load(),
		MessagesSent:     c.messagesSent.Load(),
		BytesSent:        c.bytesSent.Load(),
		FramesReceived:   c.framesReceived.Load(),
		MessagesReceived: c.messagesReceived.Load(),
		BytesReceived:    c.bytesReceived.Load(),
		Dropped:          c.dropped.Load(),
		Malformed:        c.malformed.Load(),
		Connects:         c.connects.Load(),
	}
}

// PeerStatus is a peer as the transport sees it.
type PeerStatus struct {
	Node wire.Node
	// Connected tells that messages can be sent to the peer, Heard that it
	// is connected to this node.
	Connected, Heard bool
	// Via is the peer through which this one is reached, 0 if it is reached straight or
	// not at all.
	Via kv.NodeID
	// Problem is why the peer can't be reached, or not straight, or was refused, or
	// refused this node, last; "" if that is over.
	Problem string
	// Queued is how many messages wait to be sent.
	Queued   int
	Counters Counters
}

// Peers describes all peers, in the order of their IDs.
func (t *Transport) Peers() []PeerStatus {
	t.mu.Lock()
	out := make([]PeerStatus, 0, len(t.peers))
	for _, p := range t.peers {
		out = append(out, p.status())
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b PeerStatus) int { return cmp.Compare(a.Node.ID, b.Node.ID) })
	return out
}

// relays holds what passes through this node between two others.
type relays struct {
	tokens chan struct{} // one for each that is open
	bytes  atomic.Uint64
}

// Relays is how many connections lead through this node from one peer to another, or are
// about to, and the bytes that have passed on such, since the process began.
func (t *Transport) Relays() (open int, bytes uint64) {
	return len(t.relays.tokens), t.relays.bytes.Load()
}

// Connected reports whether messages to a node have a connection to go by.
func (t *Transport) Connected(to kv.NodeID) bool {
	p := t.peer(to)
	return p != nil && p.connected.Load()
}

// Via is the peer through which a node is reached, 0 if there is no detour.
func (t *Transport) Via(to kv.NodeID) kv.NodeID {
	if p := t.peer(to); p != nil {
		return p.via()
	}
	return 0
}
