package transport

import (
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

func TestMessagesArriveInOrderAndInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here, there := newPipes(), &recorder{}, &recorder{}
		a := start(t, options(network, 1, here))
		start(t, options(network, 2, there))
		time.Sleep(second)
		if !a.Connected(2) || a.Connected(3) || a.Connected(1) || a.Connected(9) {
			t.Fatalf("connected: %+v", a.Peers())
		}
		// While the receiver is busy with the first, the others gather.
		release := make(chan struct{})
		there.receive = func(from kv.NodeID, _ []wire.Message) {
			if from != 1 {
				t.Errorf("from %s", from)
			}
			<-release
		}
		for id := range uint64(1000) {
			if dropped := a.Send(2, requests(id, 1)...); dropped != 0 {
				t.Fatalf("dropped %d", dropped)
			}
			if id == 0 {
				synctest.Wait()
			}
		}
		close(release)
		synctest.Wait()
		if got := there.gotIDs(); !slices.Equal(got, numbers(0, 1000)) {
			t.Errorf("got %d messages: %v", len(got), got)
		}
		if there.batches > 4 {
			t.Errorf("1000 messages came in %d batches", there.batches)
		}
		c := a.Peers()[0].Counters
		if c.MessagesSent != 1000 || c.Connects != 1 || c.Dropped != 0 || c.FramesSent > 20 {
			t.Errorf("counters %+v", c)
		}
	})
}

func TestSendDropsWhatNobodyWillTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here := newPipes(), &recorder{}
		o := options(network, 1, here)
		o.Limits.QueueMessagesMax = 10
		network.slow = make(chan struct{})
		a := start(t, o)
		// The first attempt is still on: there is hope, up to the bound.
		first := a.Send(2, requests(1, 12)...)
		if first != 2 {
			t.Errorf("dropped %d of 12 with room for 10", first)
		}
		close(network.slow)
		synctest.Wait()
		if lost := here.lostIDs(); !slices.Equal(lost, numbers(1, 10)) {
			t.Errorf("lost %v after the attempt failed", lost)
		}
		if told := here.unreachableTold(); told != 2 { // nodes 2 and 3
			t.Errorf("unreachable was told %d times", told)
		}
		if dropped := a.Send(2, requests(20, 3)...); dropped != 3 {
			t.Errorf("dropped %d of 3 with the peer down", dropped)
		}
		if dropped := a.Send(9, requests(1, 1)...); dropped != 1 {
			t.Errorf("dropped %d of 1 for a stranger", dropped)
		}
		if c := a.Peers()[0].Counters; c.Dropped != 15 {
			t.Errorf("counted %d dropped", c.Dropped)
		}
		// A minute later it is still told once, and reached when it comes up.
		time.Sleep(time.Minute)
		if told := here.unreachableTold(); told != 2 {
			t.Errorf("unreachable was told %d times", told)
		}
		start(t, options(network, 2, &recorder{}))
		time.Sleep(10 * time.Millisecond) // less than any wait between attempts
		if !a.Connected(2) {
			t.Error("not connected though the peer has dialled")
		}
	})
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		o := options(network, 1, &recorder{})
		o.Limits.QueueBytesMax = 10 << 10
		network.slow = make(chan struct{})
		a := start(t, o)
		defer close(network.slow)
		big := request(1, 4<<10)
		if dropped := a.Send(2, big, big, big, request(4, 8)); dropped != 2 {
			t.Errorf("dropped %d: of three times 4 KiB with room for 10 KiB the third, "+
				"and what came after it", dropped)
		}
	})
}

func TestReconnectAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here, there := newPipes(), &recorder{}, &recorder{}
		a := start(t, options(network, 1, here))
		b := start(t, options(network, 2, there))
		time.Sleep(second)
		before := here.unreachableTold()
		for round := range uint64(3) {
			if dropped := a.Send(2, requests(10*round, 5)...); dropped != 0 {
				t.Fatalf("dropped %d", dropped)
			}
			synctest.Wait()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * second)
			if a.Connected(2) || here.unreachableTold() != before+int(round)+1 {
				t.Fatalf("connected %v, told %d", a.Connected(2), here.unreachableTold())
			}
			b = start(t, options(network, 2, there))
			time.Sleep(10 * time.Millisecond)
			if !a.Connected(2) {
				t.Fatal("not connected after the restart")
			}
		}
		want := slices.Concat(numbers(0, 5), numbers(10, 5), numbers(20, 5))
		if got := there.gotIDs(); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

// A peer that is frozen, or behind a network that swallows everything, is
// given up after Timing.Dead, whichever end it is.
func TestSilentPeerIsGivenUp(t *testing.T) {
	for _, dialerIsMute := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			network, mute := newPipes(), make(chan struct{})
			silence := func(c net.Conn) net.Conn { return silencer{c, mute} }
			if network.spoilFar = silence; dialerIsMute {
				network.spoil, network.spoilFar = silence, nil
			}
			o, log := options(network, 1, &recorder{}), &logLines{}
			o.Logger = log.logger()
			a := start(t, o)
			b := start(t, options(network, 2, &recorder{}))
			time.Sleep(time.Minute)
			if !a.Connected(2) || !b.Connected(1) {
				t.Fatal("idle connections did not last")
			}
			close(mute)
			time.Sleep(second)
			if !a.Connected(2) || !b.Connected(1) {
				t.Error("given up too early")
			}
			time.Sleep(4 * second)
			if a.Connected(2) || b.Connected(1) {
				t.Error("a silent connection lasts")
			}
			if !dialerIsMute && !strings.Contains(log.text(), "peer is silent") {
				t.Errorf("log: %s", log.text())
			}
		})
	}
}

func TestStuckReceiverIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here := newPipes(), &recorder{}
		release := make(chan struct{})
		there := &recorder{receive: func(kv.NodeID, []wire.Message) { <-release }}
		a := start(t, options(network, 1, here))
		start(t, options(network, 2, there))
		time.Sleep(second)
		a.Send(2, requests(1, 1)...)
		synctest.Wait()
		a.Send(2, requests(2, 1)...)
		synctest.Wait()
		a.Send(2, requests(3, 1)...)
		time.Sleep(4 * second)
		if here.unreachableTold() < 2 { // node 3 was never there
			t.Error("a peer that takes nothing is held for well")
		}
		// 2 was in the middle of being written, so it was never whole.
		if lost := here.lostIDs(); !slices.Equal(lost, []uint64{2}) {
			t.Errorf("lost %v", lost)
		}
		close(release)
		time.Sleep(second)
		if got := there.gotIDs(); !slices.Equal(got, []uint64{1, 3}) {
			t.Errorf("got %v", got)
		}
	})
}

// A frame that was cut off is lost for certain, however much of it passed;
// nothing lost was received.
func TestLostIsCertain(t *testing.T) {
	frame, _ := (&batch{limits: Options{}.withDefaults().Limits}).fill(requests(2, 3))
	for pass := range len(frame) + 1 {
		synctest.Test(t, func(t *testing.T) {
			network, here, there := newPipes(), &recorder{}, &recorder{}
			var line *saboteur
			silent := options(network, 2, there)
			silent.Peers = []wire.Node{{ID: 1}} // dials nobody
			start(t, silent)
			network.setSpoil(func(c net.Conn) net.Conn {
				line = &saboteur{Conn: c, pass: plenty, act: cutOff}
				return line
			})
			o := options(network, 1, here)
			o.Peers = o.Peers[1:2]
			a := start(t, o)
			time.Sleep(100 * time.Millisecond)
			a.Send(2, requests(1, 1)...)
			synctest.Wait()
			line.arm(pass)
			a.Send(2, requests(2, 3)...)
			synctest.Wait()
			a.Close()
			lost, got := here.lostIDs(), there.gotIDs()
			if pass < len(frame) && !slices.Equal(lost, numbers(2, 3)) {
				t.Errorf("%d bytes passed: lost %v", pass, lost)
			}
			if whole := slices.Concat(got, lost); !slices.Equal(whole, numbers(1, 4)) {
				t.Errorf("%d bytes passed: got %v, lost %v", pass, got, lost)
			}
		})
	}
}

func TestOversizeMessageIsDroppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, here, there, log := newPipes(), &recorder{}, &recorder{}, &logLines{}
		o := options(network, 1, here)
		o.Limits.FrameBytesMax, o.Limits.BatchBytes, o.Logger = 4096, 2000, log.logger()
		a := start(t, o)
		start(t, options(network, 2, there))
		time.Sleep(second)
		if dropped := a.Send(2, request(1, 3000), request(2, 1500), request(3, 5000),
			request(4, 3000), request(5, 1)); dropped != 0 {
			t.Fatalf("dropped %d", dropped)
		}
		synctest.Wait()
		if got := there.gotIDs(); !slices.Equal(got, []uint64{1, 2, 4, 5}) {
			t.Errorf("got %v", got)
		}
		if lost := here.lostIDs(); !slices.Equal(lost, []uint64{3}) {
			t.Errorf("lost %v", lost)
		}
		if !strings.Contains(log.text(), "bytes_max=4096") {
			t.Errorf("log: %s", log.text())
		}
	})
}

// Who asked for too much is told, and what a transaction did is not guessed.
func TestOversizeAnswerBecomesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, there := newPipes(), &recorder{}
		start(t, options(network, 2, there))
		o := options(network, 1, &recorder{})
		o.Limits.FrameBytesMax = 4096
		a := start(t, o)
		synctest.Wait()
		much := &kv.RangeResponse{KVs: []kv.KeyValue{{Key: []byte("k"), Value: make([]byte, 5000)}}}
		txn := &kv.TxnResponse{Results: []kv.Result{{Range: much}}}
		a.Send(2, wire.Message{Response: &wire.Response{ID: 1, Range: much}},
			wire.Message{Response: &wire.Response{ID: 2, Txn: txn}},
			wire.Message{Response: &wire.Response{ID: 3, Text: "small"}})
		synctest.Wait()
		for i, sentinel := range []error{kv.ErrTooLarge, kv.ErrUncertain, nil} {
			answer := there.got[i].Response
			if answer.ID != uint64(i+1) || !errors.Is(answer.Err(), sentinel) {
				t.Errorf("answer %d is %v: %v", answer.ID, answer.Code, answer.Err())
			}
		}
		if c := a.Peers()[0].Counters; c.Dropped != 0 || c.MessagesSent != 3 {
			t.Errorf("counters %+v", c)
		}
	})
}

func TestSetPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, there, elsewhere := newPipes(), &recorder{}, &recorder{}
		a := start(t, options(network, 1, &recorder{}))
		b := start(t, options(network, 2, there))
		time.Sleep(second)
		// Node 2 moves to another address.
		b.Close()
		o := options(network, 2, elsewhere)
		o.Listen, o.Self.Peer = "new-host", "new-host"
		start(t, o)
		time.Sleep(5 * second)
		if a.Connected(2) {
			t.Fatal("connected to an address that nobody has")
		}
		a.SetPeers([]wire.Node{node(1), o.Self, node(3)})
		time.Sleep(10 * time.Millisecond)
		if dropped := a.Send(2, requests(1, 1)...); dropped != 0 {
			t.Fatalf("dropped %d at the new address", dropped)
		}
		synctest.Wait()
		if got := elsewhere.gotIDs(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("got %v", got)
		}
		// Node 2 is removed: disconnected, and refused.
		a.SetPeers([]wire.Node{node(3)})
		time.Sleep(second)
		if peers := a.Peers(); len(peers) != 1 || peers[0].Node.ID != 3 {
			t.Errorf("peers %+v", peers)
		}
		if dropped := a.Send(2, requests(1, 1)...); dropped != 1 {
			t.Errorf("dropped %d of 1", dropped)
		}
	})
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Listen(Options{Self: node(1), Listen: taken.Addr().String(), Handler: &recorder{}})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error is %v", err)
	}
	mustFail(t, err, taken.Addr().String())
	mustFail(t, err, "--peer")
}

func TestOptionsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"node id":     func(o *Options) { o.Self.ID = 0 },
		"handler":     func(o *Options) { o.Handler = nil },
		"limit is -1": func(o *Options) { o.Limits.ChunkBytes = -1 },
		"dead time":   func(o *Options) { o.Timing.Idle = 4 * second },
		"in order":    func(o *Options) { o.Timing.RetryMin = 2 * second },
		"be positive": func(o *Options) { o.Timing.Handshake = -1 },
	} {
		o := options(newPipes(), 1, &recorder{})
		spoil(&o)
		_, err := Listen(o)
		if !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		mustFail(t, err, name)
	}
}
