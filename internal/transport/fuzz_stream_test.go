package transport

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// sent is a frame that a fuzzer sends.
type sent struct {
	kind    frameKind
	payload []byte
	// spoilt tells that its checksum is wrong.
	spoilt bool
}

// framesOf are the frames that data stands for: of each a byte that is its kind, and
// whether it is spoilt, the size of its payload, and the payload.
func framesOf(data []byte) (list []sent) {
	for len(data) >= 2 {
		n := min(int(data[1]), len(data)-2)
		list = append(list, sent{frameKind(data[0] & 0x0f), data[2 : 2+n], data[0] >= 0x80})
		data = data[2+n:]
	}
	return list
}

// dataOf is what framesOf takes apart; frames are as newFrame makes them.
func dataOf(frames ...[]byte) (data []byte) {
	for _, f := range frames {
		data = append(data, f[frameHeaderBytes-1], byte(len(f)-frameHeaderBytes))
		data = append(data, f[frameHeaderBytes:]...)
	}
	return data
}

// An opening is how a fuzzer begins to speak.
const (
	openRaw      = iota // anything
	openFrames          // frames without a hello
	openMessages        // as a peer that has messages
	openSnapshot        // as a peer that has a snapshot
	openings            // their number
)

// streamOf is what a fuzzer sends as node 2 to node 1.
func streamOf(opening uint8, data []byte, dials bool) []byte {
	if opening == openRaw {
		return data
	}
	var out []byte
	if opening != openFrames {
		purpose := map[uint8]wire.Purpose{
			openMessages: wire.ForMessages, openSnapshot: wire.ForSnapshot,
		}[opening]
		out = (&Transport{opts: options(nil, 2, nil)}).hello(wire.Hello{To: 1, Purpose: purpose})
		if dials {
			out = append(out, newFrame(frameAgreed, "")...)
		}
	}
	for _, f := range framesOf(data) {
		frame := newFrame(f.kind, f.payload)
		if f.spoilt {
			frame[4] ^= 1
		}
		out = append(out, frame...)
	}
	return out
}

// utter sends data on a connection, listens for a while and hangs up.
func utter(nc net.Conn, data []byte) {
	go func() { _, _ = nc.Write(data) }()
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	<-time.After(time.Second) // of the bubble
	_ = nc.Close()
}

// seedStreams adds what proper peers send, and what they don't.
func seedStreams(f *testing.F) {
	batch, _ := (&batch{limits: Options{}.withDefaults().Limits}).fill(requests(1, 2))
	head := snapshotHeader()
	header := newFrame(frameSnapshotHeader, wire.AppendSnapshotHeader(nil, &head))
	pair := Pair{Key: []byte("k"), Value: []byte("value")}
	chunk := newFrame(frameSnapshotChunk, appendPair(appendPair(nil, pair), Pair{}))
	whole := tally{pairs: 2, bytes: 6}
	two := &Transport{opts: options(nil, 2, nil)}
	hello := two.hello(wire.Hello{To: 1, Purpose: wire.ForMessages})
	f.Add(uint8(openRaw), hello)
	f.Add(uint8(openRaw), []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(uint8(openFrames), dataOf(hello, newFrame(frameAgreed, ""), bytes.Clone(batch)))
	f.Add(uint8(openFrames), dataOf(newFrame(frameRefusal, "no")))
	f.Add(uint8(openMessages), dataOf(bytes.Clone(batch), newFrame(frameIdle, ""), batch))
	f.Add(uint8(openMessages), append([]byte{0x85, 0}, dataOf(batch)...))
	f.Add(uint8(openSnapshot), dataOf(header, chunk, whole.frame()))
	f.Add(uint8(openSnapshot), dataOf(header, chunk, chunk, whole.frame()))
	f.Add(uint8(openSnapshot), dataOf(header, newFrame(frameSnapshotAbort, "why")))
	f.Add(uint8(openSnapshot), dataOf(newFrame(frameSnapshotResult, "")))
	f.Add(uint8(openSnapshot), dataOf(newFrame(frameSnapshotResult, "full")))
}

// FuzzInbound is a stranger, or a peer out of its mind, who dials. What comes through are
// the messages of whole batches before the first mistake, and a snapshot only if its end
// says that it is whole; and once it hung up nothing is left of it.
func FuzzInbound(f *testing.F) {
	seedStreams(f)
	f.Fuzz(func(t *testing.T, opening uint8, data []byte) {
		opening %= openings
		synctest.Test(t, func(t *testing.T) {
			network, here := newPipes(), &recorder{}
			var taken *tally
			here.snapshot = func(_ kv.NodeID, _ wire.SnapshotHeader, pairs stream) error {
				var count tally
				for pair, err := range pairs {
					if err != nil {
						return err
					}
					count.add(pair)
				}
				taken = &count
				return nil
			}
			o := options(network, 1, here)
			o.Peers = []wire.Node{{ID: 2}} // dials nobody
			tr := start(t, o)
			nc, err := network.dial(t.Context(), "host1")
			if err != nil {
				t.Fatal(err)
			}
			utter(nc, streamOf(opening, data, true))
			time.Sleep(time.Minute)
			if err := tr.Close(); err != nil { // which waits for all that it runs
				t.Error(err)
			}
			checkInbound(t, opening, framesOf(data), here.got, taken)
		})
	})
}

// checkInbound holds what came through against the frames.
func checkInbound(t *testing.T, opening uint8, frames []sent, got []wire.Message, taken *tally) {
	if opening == openMessages {
		want := 0
		for _, f := range frames {
			if f.spoilt || f.kind != frameMessages && f.kind != frameIdle {
				break
			}
			if f.kind == frameMessages {
				msgs, _, err := readBatch(f.payload)
				if err != nil {
					break
				}
				want += len(msgs)
			}
		}
		if len(got) != want {
			t.Fatalf("%d messages came, want %d", len(got), want)
		}
	}
	if opening == openSnapshot && (len(got) > 0 || taken != nil && !hasEnd(frames, taken)) {
		t.Fatalf("%d messages, a snapshot of %+v taken for whole", len(got), taken)
	}
}

func hasEnd(frames []sent, whole *tally) bool {
	return slices.ContainsFunc(frames, func(f sent) bool {
		return f.kind == frameSnapshotEnd && !f.spoilt && whole.matches(f.payload)
	})
}

// FuzzOutbound is whoever answers at a peer's address. Only who says who they are is
// taken for the peer, a snapshot is sent only if they say that they took it, and nothing
// that they say keeps the node from stopping.
func FuzzOutbound(f *testing.F) {
	seedStreams(f)
	f.Fuzz(func(t *testing.T, opening uint8, data []byte) {
		opening %= openings
		synctest.Test(t, func(t *testing.T) {
			network := newPipes()
			l, err := network.listen("host2")
			if err != nil {
				t.Fatal(err)
			}
			o := options(network, 1, &recorder{})
			o.Peers = []wire.Node{node(2)}
			a := start(t, o)
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					utter(nc, streamOf(opening, data, false))
				}
			}()
			_ = a.Send(2, requests(1, 3)...)
			err = sendPairs(t, a, numberedPairs(3))
			if said := confirms(opening, framesOf(data)); err == nil && !said {
				t.Error("a snapshot that nobody took is taken for sent")
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			_ = l.Close()
			<-answered
		})
	})
}

// confirms tells whether a snapshot may be taken for received. Raw bytes are not looked
// through.
func confirms(opening uint8, frames []sent) bool {
	return opening == openRaw || slices.ContainsFunc(frames, func(f sent) bool {
		return f.kind == frameSnapshotResult && len(f.payload) == 0 && !f.spoilt
	})
}
