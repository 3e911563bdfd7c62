package grpcserver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// callFields are the header of a call of Echo, chatFields of Chat.
var (
	callFields = fieldsOf("/test.Echo/Echo")
	chatFields = fieldsOf("/test.Echo/Chat")
)

func fieldsOf(path string) []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "here"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "user-agent", Value: "raw"},
		{Name: "te", Value: "trailers"},
	}
}

// message is a message as it is sent.
func message(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(raw))), raw...)
}

// hello is a message for Echo.
var hello = message(wrapperspb.Bytes([]byte("hello")))

// serve serves e on a port of its own.
func serve(t testing.TB, e *echo, opts grpcserver.Options) (addr string) {
	t.Helper()
	s := grpcserver.New(opts)
	s.RegisterService(&echoDesc, e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	return l.Addr().String()
}

func serveOn(t testing.TB, s *grpcserver.Server, l net.Listener) {
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
}

// raw is a client whose frames a test writes.
type raw struct {
	*http2.Framer
	t      testing.TB
	conn   net.Conn
	block  bytes.Buffer
	encode *hpack.Encoder
	decode *hpack.Decoder
}

// rawFrames begins to speak on nc, without reading.
func rawFrames(t testing.TB, nc net.Conn) *raw {
	t.Cleanup(func() { _ = nc.Close() })
	r := &raw{Framer: http2.NewFramer(nc, nc), t: t, conn: nc}
	r.encode = hpack.NewEncoder(&r.block)
	r.decode = hpack.NewDecoder(4096, nil)
	return r
}

// dialRaw connects to a server, and is past the settings of both.
func dialRaw(t testing.TB, addr string, settings ...http2.Setting) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := rawFrames(t, nc)
	r.greet(settings...)
	return r
}

func (r *raw) greet(settings ...http2.Setting) {
	r.t.Helper()
	first := bytes.NewBufferString(http2.ClientPreface)
	r.must(http2.NewFramer(first, nil).WriteSettings(settings...))
	if _, err := r.conn.Write(first.Bytes()); err != nil {
		r.t.Fatal(err)
	}
	if f := r.read(); f.Header().Type != http2.FrameSettings {
		r.t.Fatalf("the first frame is %v", f)
	}
	for {
		if f, ok := r.read().(*http2.SettingsFrame); ok && f.IsAck() {
			break
		}
	}
	r.must(r.WriteSettingsAck())
}

func (r *raw) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) read() http2.Frame {
	r.t.Helper()
	f, err := r.ReadFrame()
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// headers begins a stream.
func (r *raw) headers(id uint32, ends bool, fields []hpack.HeaderField) {
	r.t.Helper()
	r.must(r.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: r.encoded(fields), EndStream: ends, EndHeaders: true,
	}))
}

func (r *raw) encoded(fields []hpack.HeaderField) []byte {
	r.block.Reset()
	for _, f := range fields {
		r.must(r.encode.WriteField(f))
	}
	return bytes.Clone(r.block.Bytes())
}

// call is a whole call of Echo.
func (r *raw) call(id uint32) {
	r.t.Helper()
	r.headers(id, false, callFields)
	r.must(r.WriteData(id, true, hello))
}

// fields are those of a header, a "name: value" each, in order.
func (r *raw) fields(f *http2.HeadersFrame) []string {
	r.t.Helper()
	fields, err := r.decode.DecodeFull(f.HeaderBlockFragment())
	r.must(err)
	var out []string
	for _, f := range fields {
		out = append(out, f.Name+": "+f.Value)
	}
	return out
}

// answer reads what comes of a stream until its end: its data, and the fields of its
// last header. An end by RST_STREAM has the field "reset".
func (r *raw) answer(id uint32) (data []byte, trailers []string) {
	r.t.Helper()
	for {
		f := r.read()
		if f.Header().StreamID != id {
			if f, ok := f.(*http2.HeadersFrame); ok {
				_ = r.fields(f)
			}
			continue
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			data = append(data, f.Data()...)
		case *http2.RSTStreamFrame:
			return data, []string{"reset: " + f.ErrCode.String()}
		case *http2.HeadersFrame:
			if trailers = r.fields(f); f.StreamEnded() {
				return data, trailers
			}
		}
	}
}

// works makes sure that the connection still takes calls.
func (r *raw) works(id uint32) {
	r.t.Helper()
	r.call(id)
	data, trailers := r.answer(id)
	if !bytes.Equal(data, hello) || strings.Join(trailers, ",") != "grpc-status: 0" {
		r.t.Fatalf("call %d is answered by %q with %q", id, data, trailers)
	}
}

// goodbye reads until the connection ends, and returns what GOAWAY said.
func (r *raw) goodbye() (code http2.ErrCode, why string) {
	r.t.Helper()
	said := false
	for {
		f, err := r.ReadFrame()
		switch {
		case errors.Is(err, io.EOF) && said:
			return code, why
		case err != nil:
			r.t.Fatalf("the connection ended without GOAWAY (%v), or by %v", said, err)
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			said, code, why = true, f.ErrCode, string(f.DebugData())
		}
	}
}
