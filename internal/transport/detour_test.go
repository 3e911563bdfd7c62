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

// A link that can be dialled and carries nothing, as behind a proxy, is as good as cut.
func TestDetourAroundHollowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.setHollow(0)
		s.set(true, "host1", "host3")
		time.Sleep(20 * second)
		if via, ok := s.via(); !ok || via != 2 {
			t.Errorf("node 3 is reached through %s: %v, %q", via, ok, problem(s.nodes[0], 3))
		}
	})
}

// A detour is not left for a straight way on which the peer does not answer.
func TestDetourOutlastsHollowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.set(true, "host1", "host3")
		time.Sleep(10 * second)
		s.setHollow(0)
		before := s.connects()
		for id := range uint64(60) {
			time.Sleep(second)
			if s.nodes[0].Send(3, request(id, 8)) != 0 {
				t.Fatalf("message %d is dropped: %q", id, problem(s.nodes[0], 3))
			}
		}
		synctest.Wait()
		if got := s.handlers[2].gotIDs(); !slices.Equal(got, numbers(0, 60)) {
			t.Errorf("got %v", got)
		}
		if via, ok := s.via(); !ok || via != 2 || s.connects() != before {
			t.Errorf("node 3 is reached through %s: %v, %d times anew",
				via, ok, s.connects()-before)
		}
	})
}

// A link that carries a hello, but goes silent after a while, is left alone for longer
// and longer.
func TestDetourAroundFickleLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.setHollow(1000)
		s.set(true, "host1", "host3")
		const seconds = 600
		dropped := 0
		for id := range uint64(seconds) {
			dropped += s.nodes[0].Send(3, request(id, 100))
			time.Sleep(second)
		}
		got := len(s.handlers[2].gotIDs())
		told := s.handlers[0].unreachableTold()
		if told > 14 || got+dropped < 92*seconds/100 {
			t.Errorf("%d messages arrived, %d were dropped, and the connection broke %d times",
				got, dropped, told)
		}
		s.set(false, "host1", "host3")
		time.Sleep(100 * second)
		if via, ok := s.via(); !ok || via != 0 {
			t.Errorf("node 3 is reached through %s: %v", via, ok)
		}
		time.Sleep(30 * second)
		s.nodes[0].peer(3).out.fail(errSilence)
		synctest.Wait()
		if breaks := s.nodes[0].peer(3).breaks.Load(); breaks != 0 {
			t.Errorf("%d breaks are held against a link that lasted", breaks)
		}
	})
}

// A link that is there and gone, in turns of four seconds, is not used for most of the time.
func TestDetourAroundFlappingLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		const seconds = 320
		for id := range uint64(seconds) {
			s.set(id/4%2 == 0, "host1", "host3")
			s.nodes[0].Send(3, request(id, 100))
			time.Sleep(second)
		}
		got, told := len(s.handlers[2].gotIDs()), s.handlers[0].unreachableTold()
		if told > 8 || got < 95*seconds/100 {
			t.Errorf("%d messages arrived, and the connection broke %d times", got, told)
		}
	})
}

// A node that starts again and again is not taken for a bad link.
func TestNoDetourAroundRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		for range 5 {
			time.Sleep(5 * second)
			_ = s.nodes[2].Close()
			time.Sleep(second)
			s.start(t, 2, Limits{})
			for range 20 {
				time.Sleep(second / 10)
				if via, _ := s.via(); via != 0 {
					t.Fatalf("node 3 is reached through %s: %q", via, problem(s.nodes[0], 3))
				}
			}
		}
	})
}

// What was sent on a detour may be lost if its end is not confirmed; the Handler is told.
func TestDetourEndsWithLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.set(true, "host1", "host3")
		time.Sleep(10 * second)
		before := s.handlers[0].unreachableTold()
		s.set(true, "host2", "host3")
		s.set(false, "host1", "host3")
		s.nodes[0].Send(3, request(7, 8))
		time.Sleep(10 * second)
		if via, ok := s.via(); !ok || via != 0 {
			t.Errorf("node 3 is reached through %s: %v", via, ok)
		}
		told := s.handlers[0].unreachableTold() - before
		if got := s.handlers[2].gotIDs(); len(got) > 0 || told != 1 {
			t.Errorf("got %v, and was told %d times that messages may be lost", got, told)
		}
	})
}

func TestDetourEndsWithItsBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTrio(t, Limits{})
		time.Sleep(second)
		s.set(true, "host1", "host3")
		time.Sleep(5 * second)
		if via, _ := s.via(); via != 2 {
			t.Fatalf("node 3 is reached through %s", via)
		}
		s.nodes[0].SetPeers([]wire.Node{node(1), node(3)})
		synctest.Wait()
		if via, ok := s.via(); ok {
			t.Errorf("node 3 is reached through %s, which is no peer", via)
		}
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
	told := handlers[0].unreachableTold()
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
	if got := handlers[0].unreachableTold(); got != told {
		t.Errorf("was told %d times that messages may be lost", got-told)
	}
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
