package grpcserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// with are the fields of a call with others beside or instead of them.
func with(more ...hpack.HeaderField) []hpack.HeaderField {
	fields := slices.Clone(callFields)
	for _, f := range more {
		i := slices.IndexFunc(fields, func(g hpack.HeaderField) bool { return g.Name == f.Name })
		if i < 0 {
			fields = append(fields, f)
		} else {
			fields[i] = f
		}
	}
	return fields
}

func TestAnswerInFrames(t *testing.T) {
	r := dialRaw(t, serve(t, &echo{}, grpcserver.Options{}))
	r.headers(1, false, callFields)
	for i := range hello { // padded, and cut anywhere
		r.must(r.WriteDataPadded(1, i == len(hello)-1, hello[i:i+1], make([]byte, i)))
	}
	head := r.read().(*http2.HeadersFrame)
	want := []string{":status: 200", "content-type: application/grpc"}
	if got := r.fields(head); !slices.Equal(got, want) || head.StreamEnded() {
		t.Errorf("the answer begins with %q", got)
	}
	if data, trailers := r.answer(1); !bytes.Equal(data, hello) || trailers[0] != "grpc-status: 0" {
		t.Errorf("answered by %q with %q", data, trailers)
	}
}

// What other clients send beside: it changes nothing.
func TestIgnoredFrames(t *testing.T) {
	r := dialRaw(t, serve(t, &echo{}, grpcserver.Options{}))
	r.must(r.WriteRawFrame(0xfa, 0xff, 7, []byte("unknown")))
	r.must(r.WritePriority(1, http2.PriorityParam{StreamDep: 3, Weight: 7}))
	r.must(r.WriteSettings(http2.Setting{ID: 0xfafa, Val: 1}))
	r.must(r.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: r.encoded(callFields), EndHeaders: true, PadLength: 9,
		Priority: http2.PriorityParam{StreamDep: 5, Weight: 3},
	}))
	r.must(r.WriteData(1, true, hello))
	if data, _ := r.answer(1); !bytes.Equal(data, hello) {
		t.Errorf("answered by %q", data)
	}
	r.must(r.WriteWindowUpdate(1, 1)) // it has ended
	r.must(r.WriteRSTStream(1, http2.ErrCodeCancel))
	block := r.encoded(callFields)
	r.must(r.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block[:1]}))
	for i := 1; i < len(block); i++ {
		r.must(r.WriteContinuation(3, i == len(block)-1, block[i:i+1]))
	}
	r.must(r.WriteData(3, true, hello))
	if data, _ := r.answer(3); !bytes.Equal(data, hello) {
		t.Errorf("a header in pieces is answered by %q", data)
	}
	r.works(5)
}

// Headers that HTTP/2 forbids are reset, those that gRPC forbids are answered.
func TestHeadersRefused(t *testing.T) {
	r := dialRaw(t, serve(t, &echo{}, grpcserver.Options{}))
	field := func(name, value string) hpack.HeaderField {
		return hpack.HeaderField{Name: name, Value: value}
	}
	long := strings.Repeat("x", 34<<10)
	id := uint32(1)
	for name, c := range map[string]struct {
		fields []hpack.HeaderField
		want   string
	}{
		"capitals":     {with(field("User-Agent", "x")), "reset: PROTOCOL_ERROR"},
		"line break":   {with(field("a", "x\ny")), "reset: PROTOCOL_ERROR"},
		"twice":        {append(callFields[:1:1], callFields...), "reset: PROTOCOL_ERROR"},
		"late":         {slices.Concat(callFields[1:], callFields[:1]), "reset: PROTOCOL_ERROR"},
		"unknown":      {append(callFields[:1:1], field(":x", "y")), "reset: PROTOCOL_ERROR"},
		"no path":      {append(callFields[:2:2], callFields[3:]...), "reset: PROTOCOL_ERROR"},
		"connection":   {with(field("connection", "close")), "reset: PROTOCOL_ERROR"},
		"te":           {with(field("te", "gzip")), "reset: PROTOCOL_ERROR"},
		"GET":          {with(field(":method", "GET")), ":status: 405"},
		"web":          {with(field("content-type", "application/grpc-web")), ":status: 415"},
		"timeout":      {with(field("grpc-timeout", "1x")), "grpc-status: 13"},
		"encoding":     {with(field("grpc-encoding", "br")), "grpc-status: 12"},
		"too long":     {with(field("a", long), field("b", long)), "grpc-status: 8"},
		"nothing here": {with(field(":path", "/nothing/x")), "grpc-status: 12"},
	} {
		block := r.encoded(c.fields)
		first := min(len(block), 16<<10)
		r.must(r.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: block[:first], EndHeaders: first == len(block),
		}))
		for block = block[first:]; len(block) > 0; {
			n := min(len(block), 16<<10)
			r.must(r.WriteContinuation(id, n == len(block), block[:n]))
			block = block[n:]
		}
		if _, got := r.answer(id); !slices.Contains(got, c.want) {
			t.Errorf("%s: answered by %q, want %q", name, got, c.want)
		}
		id += 2
	}
	r.works(id)
}

// Breaches of the protocol end the connection, and the client is told why.
func TestBreaches(t *testing.T) {
	addr := serve(t, &echo{}, grpcserver.Options{})
	for name, c := range map[string]struct {
		code http2.ErrCode
		do   func(r *raw)
	}{
		"a frame too long": {http2.ErrCodeFrameSize, func(r *raw) {
			_ = r.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16<<10+1))
		}},
		"data of no stream": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteRawFrame(http2.FrameData, 0, 0, nil)
		}},
		"data of an idle stream": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteData(5, true, nil)
		}},
		"reset of an idle stream": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteRSTStream(7, http2.ErrCodeCancel)
		}},
		"window of an idle stream": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteWindowUpdate(7, 1)
		}},
		"an even stream": {http2.ErrCodeProtocol, func(r *raw) {
			r.headers(2, true, callFields)
		}},
		"a window too large": {http2.ErrCodeFlowControl, func(r *raw) {
			_ = r.WriteWindowUpdate(0, math.MaxInt32)
		}},
		"a window setting too large": {http2.ErrCodeFlowControl, func(r *raw) {
			_ = r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}},
		"padding": {http2.ErrCodeProtocol, func(r *raw) {
			r.headers(1, false, callFields)
			_ = r.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 0})
		}},
		"a broken table": {http2.ErrCodeCompression, func(r *raw) {
			_ = r.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte{0xfe})
		}},
		"an open header": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteRawFrame(http2.FrameHeaders, 0, 1, []byte{0x82})
			_ = r.WritePing(false, [8]byte{})
		}},
		"continued for ever": {http2.ErrCodeEnhanceYourCalm, func(r *raw) {
			_ = r.WriteRawFrame(http2.FrameHeaders, 0, 1, []byte{0x82})
			for range headerFramesMax {
				_ = r.WriteRawFrame(http2.FrameContinuation, 0, 1, nil)
			}
		}},
		"a push": {http2.ErrCodeProtocol, func(r *raw) {
			_ = r.WriteRawFrame(http2.FramePushPromise, 0, 1, make([]byte, 4))
		}},
		"a short ping": {http2.ErrCodeFrameSize, func(r *raw) {
			_ = r.WriteRawFrame(http2.FramePing, 0, 0, []byte("short"))
		}},
		"too many pings": {http2.ErrCodeEnhanceYourCalm, func(r *raw) {
			for range 4 {
				_ = r.WritePing(false, [8]byte{})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, addr)
			c.do(r)
			if code, why := r.goodbye(); code != c.code {
				t.Errorf("ended with %v: %s, want %v", code, why, c.code)
			}
		})
	}
}

// headerFramesMax is more frames than a header may be in.
const headerFramesMax = 64<<10/9 + 1

func TestStreamErrors(t *testing.T) {
	goOn := make(chan struct{})
	defer close(goOn)
	e := &echo{bidi: func(grpc.ServerStream) error { <-goOn; return nil }}
	r := dialRaw(t, serve(t, e, grpcserver.Options{}))
	for i, c := range []struct {
		name string
		do   func(id uint32)
		want string
	}{
		{"data after the end", func(id uint32) {
			r.headers(id, true, chatFields)
			r.must(r.WriteData(id, false, hello))
		}, "reset: STREAM_CLOSED"},
		{"a header after the end", func(id uint32) {
			r.headers(id, true, chatFields)
			r.headers(id, true, []hpack.HeaderField{{Name: "a", Value: "b"}})
		}, "reset: STREAM_CLOSED"},
		{"a header in the middle", func(id uint32) {
			r.headers(id, false, chatFields)
			r.headers(id, false, []hpack.HeaderField{{Name: "a", Value: "b"}})
		}, "reset: PROTOCOL_ERROR"},
		{"no window", func(id uint32) {
			r.headers(id, false, chatFields)
			_ = r.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		}, "reset: PROTOCOL_ERROR"},
		{"too much window", func(id uint32) {
			r.headers(id, false, chatFields)
			r.must(r.WriteWindowUpdate(id, math.MaxInt32))
		}, "reset: FLOW_CONTROL_ERROR"},
		{"no message", func(id uint32) { r.headers(id, true, callFields) }, "grpc-status: 13"},
		{"half a message", func(id uint32) {
			r.headers(id, false, callFields)
			r.must(r.WriteData(id, true, hello[:len(hello)-1]))
		}, "grpc-status: 13"},
		{"two messages", func(id uint32) {
			r.headers(id, false, callFields)
			r.must(r.WriteData(id, true, append(slices.Clone(hello), hello...)))
		}, "grpc-status: 13"},
		{"an unknown flag", func(id uint32) {
			r.headers(id, false, callFields)
			r.must(r.WriteData(id, true, append([]byte{2}, hello[1:]...)))
		}, "grpc-status: 13"},
	} {
		id := uint32(2*i + 1)
		c.do(id)
		if _, got := r.answer(id); !slices.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	r.works(101)
}

// A client that begins with anything but settings is no client.
func TestFirstFrame(t *testing.T) {
	nc, err := net.Dial("tcp", serve(t, &echo{}, grpcserver.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	r := rawFrames(t, nc)
	_, _ = io.WriteString(nc, http2.ClientPreface)
	r.must(r.WritePing(false, [8]byte{}))
	if code, _ := r.goodbye(); code != http2.ErrCodeProtocol {
		t.Errorf("ended with %v", code)
	}
}

// A client that makes its table smaller must be told that this was heard, though
// the table is not used.
func TestHeaderTable(t *testing.T) {
	addr := serve(t, &echo{}, grpcserver.Options{})
	r := dialRaw(t, addr, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	for id := uint32(1); id < 5; id += 2 {
		r.call(id)
		block := r.read().(*http2.HeadersFrame).HeaderBlockFragment()
		if told := block[0] == 0x20; told != (id == 1) {
			t.Errorf("header %d begins with %#x", id, block[0])
		}
		_, _ = r.decode.DecodeFull(block)
		_, _ = r.answer(id)
	}
}

// A client that takes only short headers is sent no long ones.
func TestShortHeaders(t *testing.T) {
	e := &echo{
		unary: func(context.Context, *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
			return nil, status.Error(codes.NotFound, strings.Repeat("long ", 200))
		},
		bidi: func(stream grpc.ServerStream) error {
			_ = stream.SendHeader(metadata.Pairs("a", strings.Repeat("x", 1000)))
			return nil
		},
	}
	r := dialRaw(t, serve(t, e, grpcserver.Options{}),
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 500})
	r.call(1)
	_, got := r.answer(1)
	if !slices.Contains(got, "grpc-status: 5") || len(strings.Join(got, "")) > 500 {
		t.Errorf("answered with %q", got)
	}
	r.headers(3, true, chatFields)
	if got := r.fields(r.read().(*http2.HeadersFrame)); len(got) != 2 {
		t.Errorf("a stream begins with %q", got)
	}
}

// TestWindows has windows hold a message back: the stream's, by settings that make
// it negative, and the connection's.
func TestWindows(t *testing.T) {
	r := dialRaw(t, serve(t, &echo{}, grpcserver.Options{}),
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 8})
	r.call(1)
	_ = r.fields(r.read().(*http2.HeadersFrame))
	part := func(want int) {
		t.Helper()
		if f := r.read().(*http2.DataFrame); len(f.Data()) != want {
			t.Fatalf("%d bytes came, want %d", len(f.Data()), want)
		}
	}
	part(8)
	for _, val := range []uint32{2, 9} { // 6 less than was sent, then 1 more
		r.must(r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: val}))
		if f := r.read().(*http2.SettingsFrame); !f.IsAck() {
			t.Fatal(f)
		}
	}
	part(1)
	r.must(r.WriteWindowUpdate(1, 100))
	part(len(hello) - 9)
	if _, trailers := r.answer(1); trailers[0] != "grpc-status: 0" {
		t.Errorf("%q", trailers)
	}
}

// TestConnWindow has several streams wait for the window of the connection. It
// grows byte after byte, and all of them must come to their end.
func TestConnWindow(t *testing.T) {
	big := wrapperspb.Bytes(make([]byte, 30<<10))
	r := dialRaw(t, serve(t, &echo{}, grpcserver.Options{}))
	const calls = 8
	for i := range uint32(calls) {
		r.headers(2*i+1, false, callFields)
		raw := message(big)
		r.must(r.WriteData(2*i+1, false, raw[:16<<10]))
		r.must(r.WriteData(2*i+1, true, raw[16<<10:]))
	}
	for ended, got := 0, 0; ended < calls; {
		switch f := r.read().(type) {
		case *http2.DataFrame:
			if got += len(f.Data()); got >= 64<<10-1 {
				r.must(r.WriteWindowUpdate(0, uint32(min(len(f.Data()), 7000))))
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				ended++
			}
		}
	}
}

// A handler that waits for window must learn of its deadline, and of the reset.
func TestWaitsEnd(t *testing.T) {
	sent := make(chan error, 1)
	e := &echo{bidi: func(stream grpc.ServerStream) error {
		err := stream.SendMsg(wrapperspb.Bytes([]byte("hello")))
		sent <- err
		return err
	}}
	r := dialRaw(t, serve(t, e, grpcserver.Options{}),
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	timeout := hpack.HeaderField{Name: "grpc-timeout", Value: "20m"}
	r.headers(1, true, append(slices.Clone(chatFields), timeout))
	if err := <-sent; status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("after its deadline: %v", err)
	}
	if _, got := r.answer(1); !slices.Contains(got, "grpc-status: 4") {
		t.Errorf("answered with %q", got)
	}
	r.headers(3, true, chatFields)
	for r.read().Header().Type != http2.FrameData {
	}
	r.must(r.WriteRSTStream(3, http2.ErrCodeCancel))
	if err := <-sent; status.Code(err) != codes.Canceled {
		t.Errorf("after a reset: %v", err)
	}
	r.headers(5, true, chatFields)
	for r.read().Header().Type != http2.FrameData {
	}
	_ = r.conn.Close()
	if err := <-sent; status.Code(err) != codes.Canceled {
		t.Errorf("after the connection: %v", err)
	}
}

// A client that begins calls and resets them at once must not have more handlers
// run than a bound, if they take no note of it.
func TestRapidReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var begun atomic.Int64
		e := &echo{bidi: func(grpc.ServerStream) error {
			begun.Add(1)
			<-goOn
			return nil
		}}
		_, dial := servePipes(t, e, grpcserver.Options{StreamsMax: 10})
		r := rawFrames(t, dial())
		go func() { _, _ = io.Copy(io.Discard, r.conn) }()
		go func() {
			_, _ = io.WriteString(r.conn, http2.ClientPreface)
			_ = r.WriteSettings()
			for id := uint32(1); id < 6000; id += 2 {
				r.headers(id, false, chatFields)
				_ = r.WriteRSTStream(id, http2.ErrCodeCancel)
				synctest.Wait()
			}
		}()
		time.Sleep(time.Second)
		running := begun.Load()
		if running < 200 || running > 300 {
			t.Errorf("%d handlers run", running)
		}
		close(goOn)
		time.Sleep(time.Second)
		if running = begun.Load(); running != 3000 {
			t.Errorf("%d handlers ran of 3000", running)
		}
	})
}

// A client that does not read while it asks is not read either, whoever waits for
// it to read: else its answers would fill the memory.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &echo{bidi: func(stream grpc.ServerStream) error {
			return stream.SendMsg(wrapperspb.Bytes(make([]byte, 1000)))
		}}
		_, dial := servePipes(t, e, grpcserver.Options{})
		r := rawFrames(t, dial())
		go r.greet()
		time.Sleep(time.Second)
		r.headers(1, true, chatFields)
		time.Sleep(time.Second) // the handler writes now
		settings := bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, 1000)
		_ = r.conn.SetWriteDeadline(time.Now().Add(time.Second))
		const most = 10 << 20
		written := 0
		for written < most {
			n, err := r.conn.Write(settings)
			if written += n; err != nil {
				break
			}
		}
		if written >= most {
			t.Error("10 MiB of settings were read, and none of the answers")
		}
	})
}

// Compressed messages wait as they are: what a client sends in a window must not
// be a thousand times of that here.
func TestCompressedMessagesWait(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(message(wrapperspb.Bytes(make([]byte, 4<<20-100)))[5:])
	_ = z.Close()
	n := packed.Len()
	one := append([]byte{1, 0, 0, byte(n >> 8), byte(n)}, packed.Bytes()...)
	goOn := make(chan struct{})
	count := 0
	e := &echo{bidi: func(stream grpc.ServerStream) error {
		<-goOn
		for stream.RecvMsg(new(wrapperspb.BytesValue)) == nil {
			count++
		}
		return nil
	}}
	r := dialRaw(t, serve(t, e, grpcserver.Options{}))
	encoding := hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"}
	r.headers(1, false, append(slices.Clone(chatFields), encoding))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 12 {
		r.must(r.WriteData(1, false, one))
	}
	r.must(r.WriteData(1, true, nil))
	r.works(3) // so all of it was read
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 30<<20 {
		t.Errorf("12 messages of %d bytes took %d MiB before anybody wanted them", n, grown>>20)
	}
	close(goOn)
	if _, trailers := r.answer(1); trailers[len(trailers)-1] != "grpc-status: 0" || count != 12 {
		t.Errorf("%d arrived, %q", count, trailers)
	}
}
