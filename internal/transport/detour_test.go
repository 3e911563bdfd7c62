package transport

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// links is a network in memory whose links between two nodes can be cut: what is sent then
// is lost, and nobody is told.
type links struct {
	*pipes
	mu  sync.Mutex
	cut map[[2]string]bool // from, to
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

func (l *links) isCut(a, b string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut[[2]string{a, b}]
}

func (e end) dial(ctx context.Context, address string) (net.Conn, error) {
	if e.isCut(e.at, address) || e.isCut(address, e.at) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	e.links.pipes.mu.Lock()
	l := e.links.pipes.listeners[address]
	e.links.pipes.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case l.incoming <- linked{there, e.links, address, e.at}:
		return linked{here, e.links, e.at, address}, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// linked is one end of a connection between two nodes.
type linked struct {
	net.Conn
	links    *links
	from, to string
}

func (c linked) Write(p []byte) (int, error) {
	if c.links.isCut(c.from, c.to) {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// trio is three nodes.
type trio struct {
	*links
	nodes    [3]*Transport
	handlers [3]*recorder
}

func newTrio(t *testing.T, limits Limits) *trio {
	s := &trio{links: &links{pipes: newPipes(), cut: map[[2]string]bool{}}}
	for i := range s.nodes {
		id := kv.NodeID(i + 1)
		s.handlers[i] = &recorder{}
		o := options(nil, id, s.handlers[i])
		o.network = end{s.links, node(id).Peer}
		o.Limits = limits
		s.nodes[i] = start(t, o)
	}
	return s
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

func TestDetour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		one, three := s.nodes[0], s.handlers[2]
		if via, ok := s.via(); !ok || via != 0 {
			t.Fatalf("node 3 is reached through %s: %v", via, ok)
		}
		s.set(true, "host1", "host3")
		time.Sleep(4 * second) // silence, an attempt to dial, the detour
		if via, ok := s.via(); !ok || via != 2 {
			t.Fatalf("node 3 is reached through %s: %v, %q", via, ok, problem(one, 3))
		}
		mustFail(t, errors.New(problem(one, 3)), "only through n2: peer is silent")
		if dropped := one.Send(3, requests(0, 1000)...); dropped != 0 {
			t.Errorf("%d messages dropped", dropped)
		}
		synctest.Wait()
		if got := three.gotIDs(); !slices.Equal(got, numbers(0, 1000)) {
			t.Errorf("got %d of 1000 messages, or in another order", len(got))
		}
		if open, bytes := s.nodes[1].Relays(); open != 2 || bytes == 0 {
			t.Errorf("%d detours lead through node 2, %d bytes have", open, bytes)
		}

		s.set(false, "host1", "host3")
		time.Sleep(4 * second)
		if via, ok := s.via(); !ok || via != 0 {
			t.Errorf("with the link back, node 3 is reached through %s: %v", via, ok)
		}
		if open, _ := s.nodes[1].Relays(); open != 0 {
			t.Errorf("%d detours are left", open)
		}
		if dropped := one.Send(3, request(1000, 8)); dropped != 0 {
			t.Error("dropped")
		}
		synctest.Wait()
		if got := three.gotIDs(); !slices.Equal(got, numbers(0, 1001)) {
			t.Errorf("got %d of 1001 messages, or in another order", len(got))
		}
	})
}

// A link that carries nothing one way only is no link: TCP needs both.
func TestDetourWhereOneWayIsCut(t *testing.T) {
	for _, way := range [][2]string{{"host1", "host3"}, {"host3", "host1"}} {
		synctest.Test(t, func(t *testing.T) {
			s := newTrio(t, Limits{})
			time.Sleep(second)
			s.links.mu.Lock()
			s.cut[way] = true
			s.links.mu.Unlock()
			time.Sleep(time.Minute)
			if via, ok := s.via(); !ok || via != 2 || s.connects() != 2 {
				t.Errorf("cut from %s to %s: node 3 is reached through %s: %v, %q",
					way[0], way[1], via, ok, problem(s.nodes[0], 3))
			}
		})
	}
}

func TestSnapshotByDetour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		pairs := 0
		s.handlers[2].snapshot = taker(t, &pairs)
		s.set(true, "host1", "host3")
		err := s.nodes[0].SendSnapshot(t.Context(), 3, snapshotHeader(), numberedPairs(5000))
		if err != nil || pairs != 5000 {
			t.Errorf("%d pairs arrived, error %v", pairs, err)
		}
	})
}

// Who reaches a node neither straight nor through another is told why the straight way
// failed, and what waits for the node is lost as ever.
func TestNoDetour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.nodes[2].Close()
		time.Sleep(4 * second)
		if got := problem(s.nodes[0], 3); got != "connection refused" {
			t.Errorf("problem is %q", got)
		}
		if s.nodes[0].Send(3, request(1, 8)) != 1 {
			t.Error("a message to a dead node is taken")
		}
		if open, _ := s.nodes[1].Relays(); open != 0 {
			t.Errorf("%d detours lead to a dead node", open)
		}
	})
}

func TestRelayRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{RelaysMax: 1})
		time.Sleep(second)
		one := s.nodes[0]
		ask := func(onward kv.NodeID) (*conn, error) {
			synctest.Wait()
			two := one.peer(2)
			c, err := one.dial(t.Context(), two, second)
			if err != nil {
				t.Fatal(err)
			}
			call := wire.Hello{Purpose: wire.ForRelay, Onward: onward}
			if c, err = one.introduce(t.Context(), c, two, call); err != nil {
				t.Fatal(err)
			}
			if err := one.awaitRelay(t.Context(), c); err != nil {
				one.release(c)
				return nil, err
			}
			p := &peer{id: onward}
			return one.introduce(t.Context(), c, p, wire.Hello{Purpose: wire.ForSnapshot})
		}
		_, err := ask(9)
		mustFail(t, err, "n9 is not known to n2")
		_, err = ask(2)
		mustFail(t, err, "n2 is not known to n2")
		_, err = ask(0)
		mustFail(t, err, "is not known to n2")
		s.set(true, "host2", "host3")
		time.Sleep(4 * second) // node 2 reaches node 3 through node 1
		_, err = ask(3)
		mustFail(t, err, "n2 does not reach n3 either")
		s.set(false, "host2", "host3")
		time.Sleep(4 * second)
		c, err := ask(3)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ask(3)
		mustFail(t, err, "1 detours lead through n2, the most")
		one.release(c)
		synctest.Wait()
		if c, err = ask(3); err != nil {
			t.Fatal(err)
		}
		one.release(c)
	})
}

// walled is TCP, but for a wall before one address.
type walled struct {
	tcp
	mu      sync.Mutex
	address string
}

func (w *walled) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	wall := w.address
	w.mu.Unlock()
	if address == wall {
		return nil, errors.New("no route to host")
	}
	return w.tcp.dial(ctx, address)
}

// Nothing is lost, and nothing overtaken, when a detour ends because the straight way is
// there again.
func TestDetourEndsWithoutLoss(t *testing.T) {
	wall := &walled{}
	handlers := [3]*recorder{{}, {}, {}}
	var nodes [3]*Transport
	var peers []wire.Node
	for i := range nodes {
		o := Options{
			Cluster: 7, Self: node(kv.NodeID(i + 1)), Listen: "127.0.0.1:0",
			Handler: handlers[i], Timing: Timing{Seek: 5 * time.Millisecond},
		}
		if i == 0 {
			o.network = wall
		}
		nodes[i] = start(t, o)
		o.Self.Peer = nodes[i].Addr().String()
		peers = append(peers, o.Self)
	}
	wall.address = peers[2].Peer
	for _, n := range nodes {
		n.SetPeers(peers)
	}
	await := func(via kv.NodeID, each func()) {
		t.Helper()
		for deadline := time.Now().Add(10 * second); ; runtime.Gosched() {
			p := nodes[0].Peers()[1]
			if p.Connected && p.Via == via {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("node 3 is not reached through %q: %+v", via, p)
			}
			each()
		}
	}
	await(2, func() {})
	sent := uint64(0)
	send := func() {
		if nodes[0].Send(3, request(sent, 100)) == 0 {
			sent++
		}
	}
	for range 1000 {
		send()
	}
	wall.mu.Lock()
	wall.address = ""
	wall.mu.Unlock()
	await(0, send)
	send()
	for deadline := time.Now().Add(10 * second); ; runtime.Gosched() {
		if got := handlers[2].gotIDs(); uint64(len(got)) == sent {
			if !slices.Equal(got, numbers(0, sent)) {
				t.Error("messages arrived in another order")
			}
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages arrived", len(got), sent)
		}
	}
}
