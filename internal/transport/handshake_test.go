package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/wire"
)

// Whoever does not belong is refused, both sides know why, and both log it
// once however often it is tried.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(o *Options)
		why   string
	}{
		"cluster": {
			func(o *Options) { o.Cluster = 8 },
			"of cluster 0000000000000008, n1 (n1) of cluster 0000000000000007",
		},
		"format": {
			func(o *Options) { o.Formats = wire.Formats{Min: 3, Max: 4} },
			"n2 understands data formats 3 to 4, n1 formats 1 to 2",
		},
		"same id": {
			func(o *Options) { o.Self.ID = 1; o.Peers[0] = wire.Node{ID: 4, Peer: "host1"} },
			"two nodes have the same id n1: n2 at host2 and n1 at host1",
		},
		"unknown": {
			func(o *Options) { o.Self.ID = 9 },
			"n9 (n2) is not known to n1 as a node of the cluster",
		},
		"wrong address": {
			func(o *Options) { o.Peers[0].ID = 5 },
			"n2 looks for n5 but found n1 (n1)",
		},
		"handler": {
			func(o *Options) { o.Self.Incarnation = 66 },
			"incarnation 0000000000000042 is not the one of before",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check := refused(t, c.spoil, c.why)
				time.Sleep(time.Minute)
				check()
			})
		})
	}
}

// refused starts two nodes of which the second is made to be refused, and
// returns a check that it was.
func refused(t *testing.T, spoil func(*Options), why string) (check func()) {
	network, hereLog, thereLog := newPipes(), &logLines{}, &logLines{}
	here := options(network, 1, &recorder{hello: func(n wire.Node) error {
		if n.Incarnation == 66 {
			return fmt.Errorf("incarnation %s is not the one of before", n.Incarnation)
		}
		return nil
	}})
	// Only node 2 dials, so that there is one reason to be refused.
	here.Logger, here.Peers = hereLog.logger(), []wire.Node{{ID: 2}}
	start(t, here)
	there := options(network, 2, &recorder{})
	there.Logger, there.Peers = thereLog.logger(), []wire.Node{node(1)}
	spoil(&there)
	b := start(t, there)
	return func() {
		t.Helper()
		for _, log := range []*logLines{hereLog, thereLog} {
			if n := strings.Count(log.text(), why); n != 1 {
				t.Errorf("the reason is logged %d times: %s", n, log.text())
			}
		}
		if dialled := b.Peers()[0]; dialled.Connected || !strings.Contains(dialled.Problem, why) {
			t.Errorf("peer is %+v", dialled)
		}
	}
}

// The dialer looks at who answers, too.
func TestDialerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, hereLog, thereLog := newPipes(), &logLines{}, &logLines{}
		there := options(network, 2, &recorder{})
		there.Logger, there.Peers = thereLog.logger(), []wire.Node{{ID: 1}}
		start(t, there)
		here := options(network, 1, &recorder{hello: func(wire.Node) error {
			return errors.New("an impostor")
		}})
		here.Logger = hereLog.logger()
		a := start(t, here)
		time.Sleep(time.Minute)
		if a.Connected(2) || strings.Count(hereLog.text(), "an impostor") != 1 {
			t.Errorf("here: connected %v: %s", a.Connected(2), hereLog.text())
		}
		if n := strings.Count(thereLog.text(), "refused by the peer: an impostor"); n != 1 {
			t.Errorf("there: %d times: %s", n, thereLog.text())
		}
	})
}

// A node that Hello admits is not unknown.
func TestHelloMayAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		var a *Transport
		here := options(network, 1, &recorder{hello: func(n wire.Node) error {
			a.SetPeers([]wire.Node{n})
			return nil
		}})
		here.Peers = nil
		a = start(t, here)
		b := start(t, options(network, 2, &recorder{}))
		time.Sleep(second)
		if !a.Connected(2) || !b.Connected(1) {
			t.Errorf("not connected: %+v %+v", a.Peers(), b.Peers())
		}
	})
}

// speak dials node 1, sends bytes and returns all that comes back.
func speak(t *testing.T, network *pipes, bytes []byte) []byte {
	t.Helper()
	c, err := network.dial(t.Context(), "host1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = c.Write(bytes) }()
	answer, _ := io.ReadAll(c)
	return answer
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	version := func(lowest, highest uint16) []byte {
		frame := append(beginFrame(nil), magic...)
		frame = binary.LittleEndian.AppendUint16(frame, lowest)
		frame = binary.LittleEndian.AppendUint16(frame, highest)
		return sealFrame(append(frame, "what a later version says"...), frameHello)
	}
	for name, c := range map[string]struct {
		says []byte
		why  string
	}{
		"http":          {[]byte("GET / HTTP/1.1\r\nHost: host1\r\n\r\n"), "not the protocol"},
		"later version": {version(2, 3), "protocol versions 2 to 3, this node speaks 1 to 1"},
		"other magic":   {newFrame(frameHello, "MRVS\x01\x00\x01\x00"), "not the protocol"},
		"short hello":   {newFrame(frameHello, "MRVR\x01"), "not the protocol"},
		"bad hello":     {newFrame(frameHello, "MRVR\x01\x00\x01\x00?"), "malformed"},
		"messages":      {newFrame(frameMessages, "\x00\x00\x00\x00"), "not the protocol"},
		"large hello": {
			newFrame(frameHello, make([]byte, helloBytesMax+1)), "over the limit of 4096",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, log := newPipes(), &logLines{}
				o := options(network, 1, &recorder{})
				o.Logger = log.logger()
				start(t, o)
				for range 3 {
					answer := string(speak(t, network, c.says))
					if !strings.Contains(answer, c.why) {
						t.Errorf("answer is %q", answer)
					}
				}
				if n := strings.Count(log.text(), c.why); n != 1 {
					t.Errorf("logged %d times: %s", n, log.text())
				}
			})
		})
	}
}

// Those who connect and say nothing, or too slowly, are hung up on.
func TestHandshakeIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		start(t, options(network, 1, &recorder{}))
		began := time.Now()
		speak(t, network, nil)
		if took := time.Since(began); took > 3*second {
			t.Errorf("a mute stranger was held for %v", took)
		}
		c, err := network.dial(t.Context(), "host1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began = time.Now()
		for i := 0; ; i++ {
			if _, err := c.Write([]byte{0}); err != nil {
				break
			}
			time.Sleep(second)
		}
		if took := time.Since(began); took > 4*second {
			t.Errorf("a slow stranger was held for %v", took)
		}
	})
}

// TestConnectionsAreBounded: strangers make room for who comes later, peers don't.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		o := options(network, 1, &recorder{})
		o.Limits.InboundMax = 3
		a := start(t, o)
		start(t, options(network, 2, &recorder{}))
		start(t, options(network, 3, &recorder{}))
		time.Sleep(2 * second) // each peer has a connection to node 1, and node 1 to it
		began := time.Now()
		first, err := network.dial(t.Context(), "host1")
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		synctest.Wait()
		ended := make(chan time.Duration)
		go func() {
			speak(t, network, nil)
			ended <- time.Since(began)
		}()
		if _, err := first.Read(make([]byte, 1)); err == nil || time.Since(began) > 0 {
			t.Errorf("the first stranger does not make room for the second: %v", err)
		}
		if took := <-ended; took < second {
			t.Errorf("the second stranger was closed after %v", took)
		}
		for range 3 { // which nobody who is a peer makes room for
			a.inbound <- struct{}{}
			if len(a.inbound) == cap(a.inbound) {
				break
			}
		}
		began = time.Now()
		speak(t, network, nil)
		if time.Since(began) > 0 {
			t.Error("a connection over the bound was not closed at once")
		}
		for _, p := range a.Peers() {
			if !p.Connected {
				t.Errorf("%+v was closed", p)
			}
		}
	})
}
