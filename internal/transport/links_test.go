package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// links is a network in memory whose links between two nodes can be cut: what is sent then
// is lost, and nobody is told.
type links struct {
	*pipes
	mu  sync.Mutex
	cut map[[2]string]bool // from, to
	// hollow links can be dialled though they are cut, and a connection carries so many
	// bytes each way.
	hollow       bool
	carriesBytes int
}

// end is the network as the node at an address sees it.
type end struct {
	*links
	at string
}

func (l *links) set(cut bool, a, b string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[[2]string{a, b}], l.cut[[2]string{b, a}] = cut, cut
}

func (l *links) setHollow(carriesBytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hollow, l.carriesBytes = true, carriesBytes
}

func (l *links) isHollow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hollow
}

func (l *links) isCut(a, b string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut[[2]string{a, b}]
}

func (e end) dial(ctx context.Context, address string) (net.Conn, error) {
	if (e.isCut(e.at, address) || e.isCut(address, e.at)) && !e.isHollow() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	e.links.pipes.mu.Lock()
	l := e.links.pipes.listeners[address]
	e.links.pipes.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	here, there := e.links.join(e.at, address)
	select {
	case l.incoming <- there:
		return here, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join makes a connection between two nodes.
func (l *links) join(a, b string) (atA, atB linked) {
	hither, back := net.Pipe()
	thither, there := net.Pipe()
	return linked{hither, thither, l, a, b, new(int)}, linked{there, back, l, b, a, new(int)}
}

// linked is one end of a connection between two nodes: a pipe each way, so that each way
// can end by itself.
type linked struct {
	net.Conn          // to read from
	out      net.Conn // to write to
	links    *links
	from, to string
	carried  *int // bytes
}

func (c linked) Write(p []byte) (int, error) {
	if pass := c.pass(len(p)); pass > 0 {
		if n, err := c.out.Write(p[:pass]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// pass is how many of so many bytes the link carries.
func (c linked) pass(bytes int) int {
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	if c.links.cut[[2]string{c.from, c.to}] {
		bytes = max(0, min(bytes, c.links.carriesBytes-*c.carried))
	}
	*c.carried += bytes
	return bytes
}

// SetReadDeadline works as on TCP where the other end has closed its side, so that Read
// comes to the end.
func (c linked) SetReadDeadline(at time.Time) error {
	_ = c.Conn.SetReadDeadline(at)
	return nil
}

func (c linked) SetWriteDeadline(at time.Time) error { return c.out.SetWriteDeadline(at) }

func (c linked) CloseWrite() error {
	if c.links.isCut(c.from, c.to) {
		return nil
	}
	return c.out.Close()
}

func (c linked) Close() error { return errors.Join(c.Conn.Close(), c.out.Close()) }

// trio is three nodes.
type trio struct {
	*links
	nodes    [3]*Transport
	handlers [3]*recorder
}

func newTrio(t *testing.T, limits Limits) *trio {
	s := &trio{links: &links{pipes: newPipes(), cut: map[[2]string]bool{}}}
	for i := range s.nodes {
		s.handlers[i] = &recorder{}
		s.start(t, i, limits)
	}
	return s
}

func (s *trio) start(t *testing.T, i int, limits Limits) {
	id := kv.NodeID(i + 1)
	o := options(nil, id, s.handlers[i])
	o.network = end{s.links, node(id).Peer}
	o.Limits = limits
	s.nodes[i] = start(t, o)
}

// via is how node 1 reaches node 3.
func (s *trio) via() (via kv.NodeID, connected bool) {
	for _, p := range s.nodes[0].Peers() {
		if p.Node.ID == 3 {
			return p.Via, p.Connected
		}
	}
	return 0, false
}

// connects is how often node 1 has reached node 3.
func (s *trio) connects() uint64 { return s.nodes[0].Peers()[1].Counters.Connects }
