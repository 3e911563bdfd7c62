package transport

import (
	"bytes"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// introduction is what node 2 says to node 1 until the handshake is over,
// if node 1 agrees.
func introduction(t *testing.T, network *pipes, purpose wire.Purpose) []byte {
	t.Helper()
	o := options(network, 2, &recorder{})
	o.Peers = nil
	two := start(t, o)
	return append(two.hello(wire.Hello{To: 1, Purpose: purpose}), newFrame(frameAgreed, "")...)
}

// A peer that breaks the protocol is told why, and it is logged once.
func TestStrayFramesAreRefused(t *testing.T) {
	frame, _ := (&batch{limits: Options{}.withDefaults().Limits}).fill(requests(1, 1))
	flipped := bytes.Clone(frame)
	flipped[len(flipped)-3] ^= 1
	for why, says := range map[string][]byte{
		"fails its checksum":                  flipped,
		"over the limit of 16777216":          []byte("\xff\xff\xff\xff....\x05"),
		"batch of messages is malformed":      newFrame(frameMessages, "\x01\x00\x00\x00"),
		"a frame of kind 7 has no place here": newFrame(frameSnapshotChunk, ""),
	} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, here, log := newPipes(), &recorder{}, &logLines{}
				o := options(network, 1, here)
				o.Logger, o.Peers = log.logger(), []wire.Node{{ID: 2}}
				start(t, o)
				says := slices.Concat(introduction(t, network, wire.ForMessages), frame, says)
				answer := string(speak(t, network, says))
				if !strings.Contains(answer, why) {
					t.Errorf("answer is %q", answer)
				}
				if got := here.gotIDs(); !slices.Equal(got, []uint64{1}) {
					t.Errorf("got %v", got)
				}
				if n := strings.Count(log.text(), why); n != 1 {
					t.Errorf("logged %d times: %s", n, log.text())
				}
			})
		})
	}
}

// An answer of another node than the one dialled is refused.
func TestAnotherNodeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		third := options(network, 3, &recorder{})
		third.Peers = nil
		three := start(t, third)
		listener, err := network.listen("host2")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		o := options(network, 1, &recorder{})
		o.Peers = []wire.Node{node(2), {ID: 3}}
		a := start(t, o)
		c, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, _, err := readFrame(c, helloBytesMax); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Write(three.hello(wire.Hello{To: 1, Purpose: wire.ForMessages})) }()
		kind, payload, err := readFrame(c, helloBytesMax)
		const why = "n3 answers at the address of n2"
		if kind != frameRefusal || string(payload) != why {
			t.Errorf("answer is %d %q, %v", kind, payload, err)
		}
		synctest.Wait()
		if p := problem(a, 2); !strings.Contains(p, why) {
			t.Errorf("problem is %q", p)
		}
	})
}

// A peer that connects anew is heard only when all that it sent before has
// been taken; the connection before is not waited for.
func TestNewConnectionReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, mute := newPipes(), make(chan struct{})
		there := options(network, 2, &recorder{})
		release := make(chan struct{})
		h := &recorder{receive: func(kv.NodeID, []wire.Message) { <-release }}
		there.Handler, there.Peers = h, []wire.Node{{ID: 1}}
		start(t, there)

		// The first life of node 1 ends without anybody noticing.
		network.setSpoil(func(c net.Conn) net.Conn { return silencer{c, mute} })
		o := options(network, 1, &recorder{})
		o.Listen, o.Peers = "host1-before", []wire.Node{node(2)}
		first := start(t, o)
		synctest.Wait()
		first.Send(2, requests(1, 1)...)
		synctest.Wait()
		close(mute)
		network.setSpoil(nil)

		o.Listen = "host1"
		second := start(t, o)
		synctest.Wait()
		second.Send(2, requests(2, 1)...)
		synctest.Wait()
		if got := h.gotIDs(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("got %v while the first was being taken", got)
		}
		close(release)
		synctest.Wait()
		if got := h.gotIDs(); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestPeerMovesWhileConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, elsewhere := newPipes(), &recorder{}
		before := options(network, 2, &recorder{})
		before.Peers = []wire.Node{{ID: 1}}
		start(t, before)
		after := before
		after.Handler, after.Listen, after.Self.Peer = elsewhere, "new-host", "new-host"
		start(t, after)
		o := options(network, 1, &recorder{})
		o.Peers = []wire.Node{node(2)}
		a := start(t, o)
		time.Sleep(2 * second)
		a.SetPeers([]wire.Node{after.Self})
		time.Sleep(2 * second)
		a.Send(2, requests(1, 1)...)
		synctest.Wait()
		if got := elsewhere.gotIDs(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("got %v at the new address", got)
		}
	})
}

// Whoever has its answer and does not hang up is hung up on.
func TestSnapshotSenderMustHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		o := options(network, 1, &recorder{})
		o.Peers = []wire.Node{{ID: 2}}
		start(t, o)
		says := introduction(t, network, wire.ForSnapshot)
		says = append(says, newFrame(frameSnapshotEnd, "")...)
		c, err := network.dial(t.Context(), "host1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		began := time.Now()
		for err == nil {
			_, err = c.Write(says)
			says = newFrame(frameIdle, "")
			time.Sleep(second)
		}
		if took := time.Since(began); took > 10*second {
			t.Errorf("held for %v", took)
		}
	})
}

// wires are the two ends of a connection in memory.
func wires(t *testing.T) (near, far *conn) {
	o := options(newPipes(), 1, &recorder{}).withDefaults()
	a, b := net.Pipe()
	near, far = newConn(a, &o), newConn(b, &o)
	t.Cleanup(near.close)
	t.Cleanup(far.close)
	return near, far
}

// A stream that lost a chunk on the way has no proper end.
func TestSnapshotEndIsChecked(t *testing.T) {
	for _, sent := range []tally{{pairs: 2, bytes: 4}, {pairs: 1, bytes: 3}, {pairs: 1, bytes: 2}} {
		near, far := wires(t)
		pair := Pair{Key: []byte("k"), Value: []byte("v")}
		go func() {
			_ = near.write(newFrame(frameSnapshotChunk, appendPair(nil, pair)))
			_ = near.write(sent.frame())
		}()
		s, last := snapshotReceiver{conn: far}, error(nil)
		for _, err := range s.all {
			last = err
		}
		if sent == (tally{pairs: 1, bytes: 2}) {
			if last != nil || !s.complete {
				t.Errorf("complete %v, %v", s.complete, last)
			}
			continue
		}
		mustFail(t, last, "end does not match the 1 pairs received")
		if s.complete {
			t.Error("complete all the same")
		}
		for _, err := range s.all {
			mustFail(t, err, "only once")
		}
	}
}

// Failures read the same every time, whatever ports were in use.
func TestFailuresArePlain(t *testing.T) {
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	for want, err := range map[error]error{
		syscall.ECONNRESET: syscall.ECONNRESET,
		errHungUp:          io.EOF,
		errSilence:         os.ErrDeadlineExceeded,
	} {
		near, _ := wires(t)
		got := near.failure(&net.OpError{Op: "read", Net: "tcp", Source: address, Err: err})
		if got != want {
			t.Errorf("%v reads %q", err, got)
		}
		if again := near.failure(errClosed); again != want {
			t.Errorf("%v became %q", err, again)
		}
	}
}

func TestBatchIsBounded(t *testing.T) {
	b := &batch{limits: Limits{FrameBytesMax: 1 << 20, BatchBytes: 4 << 10}}
	msgs := []wire.Message{request(1, 900<<10)}
	for id := range uint64(20) {
		msgs = append(msgs, request(id, 1<<10))
	}
	if _, taken := b.fill(msgs); taken != 1 {
		t.Errorf("%d messages behind a huge one", taken-1)
	}
	frame, taken := b.fill(msgs[1:])
	if taken != 4 || len(frame) > 6<<10 {
		t.Errorf("%d messages of 1 KiB in %d bytes", taken, len(frame))
	}
	if cap(b.buf) > 64<<10 {
		t.Errorf("a buffer of %d bytes is kept", cap(b.buf))
	}
}

func TestCloseDoesNotWaitForStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		a := start(t, options(network, 1, &recorder{}))
		c, err := network.dial(t.Context(), "host1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		began := time.Now()
		if err := a.Close(); err != nil || time.Since(began) > 0 {
			t.Errorf("closed after %v, %v", time.Since(began), err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}
