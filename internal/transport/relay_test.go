package transport

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

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

func TestRelayEndsWithItsPeers(t *testing.T) {
	for _, left := range []kv.NodeID{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := newTrio(t, Limits{})
			time.Sleep(second)
			s.set(true, "host1", "host3")
			time.Sleep(5 * second)
			if open, _ := s.nodes[1].Relays(); open != 2 {
				t.Fatalf("%d detours lead through node 2", open)
			}
			s.nodes[1].SetPeers([]wire.Node{node(2), node(left)})
			synctest.Wait()
			if open, _ := s.nodes[1].Relays(); open != 0 {
				t.Errorf("%d detours lead through node 2, with %s its only peer", open, left)
			}
		})
	}
}

// A peer that hangs up, and takes nothing, does not hold a relay for ever.
func TestRelayEndsHalfClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := links{}
		o := options(newPipes(), 2, &recorder{})
		o.Peers = nil
		two := start(t, o)
		from, near := s.join("host1", "host2")
		far, to := s.join("host2", "host3")
		var relaying sync.WaitGroup
		relaying.Go(func() {
			two.passBothWays(newConn(near, &two.opts), newConn(far, &two.opts))
		})
		began := time.Now()
		_ = to.CloseWrite()
		if _, err := from.Write(make([]byte, 1<<20)); err == nil {
			t.Error("all was taken")
		}
		relaying.Wait()
		if took := time.Since(began); took > 3*second {
			t.Errorf("relay ended after %v", took)
		}
		_, _ = from.Close(), to.Close()
	})
}

// A connection that comes to life after the one that followed it is not heard.
func TestLateConnectionIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here := newPipes(), &recorder{}
		o := options(network, 1, here)
		o.Peers = []wire.Node{{ID: 2}}
		one := start(t, o)
		o = options(network, 2, &recorder{})
		o.Peers = []wire.Node{{ID: 1}}
		two := start(t, o)
		call := func() *conn {
			raw, err := network.dial(t.Context(), "host1")
			if err != nil {
				t.Fatal(err)
			}
			c := newConn(raw, &two.opts)
			if err := two.greet(c, wire.Hello{To: 1, Purpose: wire.ForMessages}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			return c
		}
		send := func(c *conn, id uint64) {
			frame, _ := (&batch{limits: two.opts.Limits}).fill(requests(id, 1))
			_, _ = c.agree(), c.write(frame)
			synctest.Wait()
		}
		first, second := call(), call()
		send(second, 1)
		second.close()
		synctest.Wait()
		send(first, 2)
		if got := here.gotIDs(); !slices.Equal(got, []uint64{1}) || one.Peers()[0].Heard {
			t.Errorf("got %v", got)
		}
		first.close()
	})
}
