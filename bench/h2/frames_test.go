package h2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer is a server whose frames a test writes.
type peer struct {
	t      *testing.T
	framer *http2.Framer
	block  bytes.Buffer
	encode *hpack.Encoder
}

// dialPeer connects to a peer that began with the settings. The server's reads are the test's: it
// takes the preface, and leaves what follows.
func dialPeer(t *testing.T, settings ...http2.Setting) (*Conn, *peer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *peer, 1)
	go func() {
		socket, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(socket, make([]byte, len(http2.ClientPreface)))
		p := &peer{t: t, framer: http2.NewFramer(socket, socket)}
		p.encode = hpack.NewEncoder(&p.block)
		_ = p.framer.WriteSettings(settings...)
		accepted <- p
	}()
	conn := dial(t, listener.Addr().String())
	t.Cleanup(func() { _ = listener.Close() })
	return conn, <-accepted
}

// await reads until a frame of the type.
func (p *peer) await(kind http2.FrameType) http2.Frame {
	p.t.Helper()
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		if frame.Header().Type == kind {
			return frame
		}
	}
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// fields encodes "name value" lines.
func (p *peer) fields(lines ...string) []byte {
	p.block.Reset()
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		p.must(p.encode.WriteField(hpack.HeaderField{Name: name, Value: value}))
	}
	return bytes.Clone(p.block.Bytes())
}

// headers are sent a byte a frame.
func (p *peer) headers(stream uint32, ends bool, block []byte) {
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block[:1], EndStream: ends, EndHeaders: len(block) == 1,
	}))
	for i := 1; i < len(block); i++ {
		p.must(p.framer.WriteContinuation(stream, i == len(block)-1, block[i:i+1]))
	}
}

func TestAnswerInPieces(t *testing.T) {
	conn, p := dialPeer(t)
	h := newHeard()
	if _, err := conn.Start(testRange, []byte("question"), true, h); err != nil {
		t.Fatal(err)
	}
	p.must(conn.Flush())
	request := p.await(http2.FrameData).(*http2.DataFrame).Data()
	if string(request) != "\x00\x00\x00\x00\x08question" {
		t.Errorf("request %q", request)
	}
	p.headers(1, false, p.fields(":status 200", "content-type application/grpc"))
	pieces := []string{"\x00", "\x00\x00\x00\x05a", "nsw\x00\x00", "", "\x00\x00\x00\x00\x00"}
	for _, piece := range pieces {
		p.must(p.framer.WriteDataPadded(1, false, []byte(piece), make([]byte, 7)))
	}
	p.must(p.framer.WriteData(1, false, []byte("\x00\x00\x00\x02xy")))
	p.headers(1, true, p.fields("grpc-status 0"))
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	close(h.messages)
	var got []string
	for message := range h.messages {
		got = append(got, string(message))
	}
	// Only lengths say which zeros belong to a prefix.
	if want := []string{"answ\x00", "", "xy"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("messages %q, want %q", got, want)
	}
}

func TestPingAndSettingsAreAnswered(t *testing.T) {
	_, p := dialPeer(t)
	p.await(http2.FrameSettings) // its own
	if f := p.await(http2.FrameSettings).(*http2.SettingsFrame); !f.IsAck() {
		t.Error("settings without an answer")
	}
	p.must(p.framer.WritePing(false, [8]byte{1, 2, 3}))
	if f := p.await(http2.FramePing).(*http2.PingFrame); !f.IsAck() || f.Data != [8]byte{1, 2, 3} {
		t.Errorf("ping answered with %v", f)
	}
}

// TestWindowsHoldBack: a stream's window opens by settings and by updates, the connection's by
// updates alone.
func TestWindowsHoldBack(t *testing.T) {
	conn, p := dialPeer(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	h := newHeard()
	if _, err := conn.Start(testRange, []byte("0123456789"), true, h); err != nil {
		t.Fatal(err)
	}
	p.must(conn.Flush())
	p.await(http2.FrameHeaders)
	p.must(p.framer.WritePing(false, [8]byte{1}))
	if f, err := p.framer.ReadFrame(); err != nil || f.Header().Type != http2.FramePing {
		t.Fatalf("%v, %v: the window was too small for data", f, err)
	}
	p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 14}))
	p.must(p.framer.WriteWindowUpdate(1, 1))
	data := p.await(http2.FrameData).(*http2.DataFrame)
	if len(data.Data()) != 15 || !data.StreamEnded() {
		t.Errorf("data of %d bytes", len(data.Data()))
	}
}

func TestHeadersAreIndexes(t *testing.T) {
	conn, p := dialPeer(t)
	decoder := hpack.NewDecoder(4096, nil)
	paths := []string{testRange, testPut, testRange, testPut, testPut}
	for i, want := range paths {
		if _, err := conn.Start(want, nil, true, newHeard()); err != nil {
			t.Fatal(err)
		}
		p.must(conn.Flush())
		block := p.await(http2.FrameHeaders).(*http2.HeadersFrame).HeaderBlockFragment()
		fields, err := decoder.DecodeFull(block)
		p.must(err)
		if got := fields[2]; got.Name != ":path" || got.Value != want {
			t.Errorf("call %d: %v, want the path %s", i, got, want)
		}
		if i >= 2 && len(block) != len(fields) {
			t.Errorf("call %d: %d bytes for %d fields", i, len(block), len(fields))
		}
	}
}

func TestAnswersThatAreNotGRPC(t *testing.T) {
	for name, answer := range map[string]func(p *peer){
		"HTTP 404": func(p *peer) {
			p.headers(1, false, p.fields(":status 404"))
			p.must(p.framer.WriteData(1, true, []byte("{not grpc}")))
		},
		"no trailers": func(p *peer) {
			p.headers(1, false, p.fields(":status 200"))
			p.must(p.framer.WriteData(1, true, nil))
		},
		"trailers without a status": func(p *peer) { p.headers(1, true, p.fields(":status 200")) },
	} {
		conn, p := dialPeer(t)
		h := newHeard()
		if _, err := conn.Start(testRange, nil, true, h); err != nil {
			t.Fatal(err)
		}
		answer(p)
		var failure *Status
		if err := <-h.done; !errors.As(err, &failure) || failure.Code != -1 {
			t.Errorf("%s: done with %v", name, err)
		}
	}
}

func TestServerGoesAway(t *testing.T) {
	conn, p := dialPeer(t)
	h := newHeard()
	if _, err := conn.Start(testRange, nil, true, h); err != nil {
		t.Fatal(err)
	}
	p.must(p.framer.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, []byte("too_many_pings")))
	if err := <-h.done; err == nil || !strings.Contains(err.Error(), "too_many_pings") {
		t.Errorf("done with %v", err)
	}
}

func TestStreamsMax(t *testing.T) {
	conn, _ := dialPeer(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	for range 2 {
		if _, err := conn.Start(testRange, nil, true, newHeard()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Start(testRange, nil, true, newHeard()); err == nil {
		t.Error("a third stream, where two are allowed")
	}
}

func FuzzCutMessage(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02xy\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		message, rest, err := cutMessage(in)
		if err != nil {
			return
		}
		if message == nil {
			if !bytes.Equal(rest, in) {
				t.Fatalf("an unfinished message lost bytes: %q of %q", rest, in)
			}
			return
		}
		if len(message)+len(rest)+5 != len(in) || !bytes.HasSuffix(in, rest) {
			t.Fatalf("%q is not %q and %q", in, message, rest)
		}
	})
}
