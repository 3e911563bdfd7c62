package grpcserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// drawn is one call, as bytes of a fuzzer choose it.
type drawn struct {
	chat, fails, padded, continued, priority, sensitive bool
	// messages are what is sent, one if it is no chat.
	messages [][]byte
	metadata metadata.MD
	// cut is how long the pieces are in which data and headers are sent; table is
	// the size of the table of header compression, if it is to change.
	cut   int
	table uint32
}

// drawnBytes are as many as a call is drawn from.
const drawnBytes = 4

// metadataNames are those that a call may have; all but the last of values are short.
var metadataNames = []string{"x-a", "x-b-bin", "x-c", "x-d"}

func draw(b []byte) drawn {
	bit := func(n int) bool { return b[0]>>n&1 == 1 }
	d := drawn{
		chat: bit(0), fails: bit(1), padded: bit(2), continued: bit(3), priority: bit(4),
		sensitive: bit(5), cut: 1 + int(b[3])*8, metadata: metadata.MD{},
	}
	if bit(6) {
		d.table = uint32(b[3]) * 16
	}
	for i, name := range metadataNames {
		for range b[1] >> (2 * i) & 3 {
			value := strings.Repeat(fmt.Sprint(b[3]%4), 1+i*i*50)
			d.metadata[name] = append(d.metadata[name], value)
		}
	}
	count := 1
	if d.chat {
		count = int(b[2]) % 4
	}
	for i := range count {
		d.messages = append(d.messages, bytes.Repeat([]byte{'%', b[2] + byte(i)}, int(b[2])*4))
	}
	return d
}

// scribe is a service that notes what the last call was like.
type scribe struct {
	seen  metadata.MD
	fails bool
}

func (s *scribe) unary(
	ctx context.Context, in *wrapperspb.BytesValue,
) (*wrapperspb.BytesValue, error) {
	s.seen, _ = metadata.FromIncomingContext(ctx)
	if s.fails {
		return nil, status.Error(codes.Aborted, string(in.Value))
	}
	return in, nil
}

func (s *scribe) bidi(stream grpc.ServerStream) error {
	s.seen, _ = metadata.FromIncomingContext(stream.Context())
	for {
		in := new(wrapperspb.BytesValue)
		switch err := stream.RecvMsg(in); {
		case errors.Is(err, io.EOF) && s.fails:
			return status.Error(codes.Aborted, "chat")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := stream.SendMsg(in); err != nil {
			return err
		}
	}
}

// FuzzConversation makes calls one after the other, each drawn from four bytes: with any
// metadata, headers and messages in any pieces, windows of any size. However a call is
// sent, the handler sees what was meant, and the client what the handler says.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{3, 0, 0x00, 0x00, 9, 20, 0x01, 0xff, 9, 20, 0x08, 0x1b, 99, 0})
	f.Add([]byte{0, 9, 0x2c, 0x55, 7, 1, 0x6c, 0x55, 7, 1, 0x02, 0x55, 255, 1, 0x0c, 0, 3, 9})
	f.Add([]byte{255, 255, 0x40, 0xff, 1, 2, 0, 0xff, 1, 2, 0, 0xff, 1, 2, 0x13, 0xff, 6, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			s := &scribe{}
			_, dial := servePipes(t, &echo{unary: s.unary, bidi: s.bidi}, grpcserver.Options{})
			q := newQueued(dial())
			defer q.stop()
			r := rawFrames(t, q)
			r.greet(
				http2.Setting{ID: http2.SettingInitialWindowSize, Val: 16 + uint32(data[0])*256},
				http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16<<10 + uint32(data[1])*99},
				http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(data[1]) * 16},
			)
			data = data[2:]
			for id := uint32(1); len(data) >= drawnBytes && id < 20; id += 2 {
				d := draw(data)
				data = data[drawnBytes:]
				s.fails = d.fails
				r.send(id, &d)
				r.check(id, &d, s)
			}
		})
	})
}

// queued is a connection whose writes don't wait.
type queued struct {
	net.Conn
	out     chan []byte
	written chan struct{}
}

func newQueued(nc net.Conn) *queued {
	q := &queued{nc, make(chan []byte, 1<<16), make(chan struct{})}
	go func() {
		defer close(q.written)
		for b := range q.out {
			_, _ = q.Conn.Write(b)
		}
	}()
	return q
}

func (q *queued) Write(b []byte) (int, error) {
	q.out <- bytes.Clone(b)
	return len(b), nil
}

func (q *queued) stop() {
	close(q.out)
	_ = q.Close()
	<-q.written
}

// send makes a call.
func (r *raw) send(id uint32, d *drawn) {
	if d.table > 0 {
		r.encode.SetMaxDynamicTableSize(d.table)
	}
	r.sendHeader(id, d)
	var data []byte
	for _, m := range d.messages {
		data = append(data, message(wrapperspb.Bytes(m))...)
	}
	for {
		n := min(d.cut, len(data))
		ends := n == len(data)
		if d.padded {
			r.must(r.WriteDataPadded(id, ends, data[:n], make([]byte, n%3)))
		} else {
			r.must(r.WriteData(id, ends, data[:n]))
		}
		if data = data[n:]; ends {
			return
		}
	}
}

func (r *raw) sendHeader(id uint32, d *drawn) {
	fields := slices.Clone(callFields)
	if d.chat {
		fields = slices.Clone(chatFields)
	}
	for _, name := range metadataNames {
		for _, value := range d.metadata[name] {
			if strings.HasSuffix(name, "-bin") {
				value = base64.StdEncoding.EncodeToString([]byte(value))
			}
			fields = append(fields, hpack.HeaderField{
				Name: name, Value: value, Sensitive: d.sensitive,
			})
		}
	}
	block := r.encoded(fields)
	n := len(block)
	if d.continued {
		n = min(n, d.cut)
	}
	head := http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block[:n], EndHeaders: n == len(block),
	}
	if d.padded {
		head.PadLength = byte(n)
	}
	if d.priority {
		head.Priority = http2.PriorityParam{StreamDep: 7, Weight: 9}
	}
	r.must(r.WriteHeaders(head))
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), d.cut)
		r.must(r.WriteContinuation(id, n == len(block), block[:n]))
	}
}

// check holds the answer to a call, and what the service saw of it, against what
// was drawn.
func (r *raw) check(id uint32, d *drawn, s *scribe) {
	r.t.Helper()
	data, trailers := r.granting(id)
	var want []byte
	for _, m := range d.messages {
		if d.chat || !d.fails {
			want = append(want, message(wrapperspb.Bytes(m))...)
		}
	}
	code, text := "grpc-status: 0", ""
	if d.fails {
		code, text = "grpc-status: 10", "chat"
		if !d.chat {
			text = string(d.messages[0])
		}
	}
	if !bytes.Equal(data, want) || len(trailers) == 0 || trailers[0] != code {
		r.t.Fatalf("%+v\nis answered by %d bytes, want %d, with %q",
			d, len(data), len(want), trailers)
	}
	if d.fails {
		said, err := url.PathUnescape(strings.TrimPrefix(trailers[1], "grpc-message: "))
		if err != nil || said != text {
			r.t.Fatalf("%q is told as %q, %v", text, trailers[1], err)
		}
	}
	for _, name := range metadataNames {
		if !slices.Equal(s.seen[name], d.metadata[name]) {
			r.t.Fatalf("%s is %q in the handler, want %q", name, s.seen[name], d.metadata[name])
		}
	}
}

// granting is answer, and lets the server send as much again as came.
func (r *raw) granting(id uint32) (data []byte, trailers []string) {
	var block []byte
	for {
		f := r.read()
		switch f := f.(type) {
		case *http2.DataFrame:
			data = append(data, f.Data()...)
			if n := uint32(len(f.Data())); n > 0 {
				r.must(r.WriteWindowUpdate(0, n))
				r.must(r.WriteWindowUpdate(id, n))
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			r.t.Fatalf("call %d ends with %v", id, f)
		case *http2.HeadersFrame:
			block = bytes.Clone(f.HeaderBlockFragment())
			if !f.HeadersEnded() {
				block = r.rest(block)
			}
			fields, err := r.decode.DecodeFull(block)
			r.must(err)
			trailers = trailers[:0]
			for _, field := range fields {
				if strings.HasPrefix(field.Name, "grpc-") {
					trailers = append(trailers, field.Name+": "+field.Value)
				}
			}
			if f.StreamEnded() {
				return data, trailers
			}
		}
	}
}

// rest appends the frames that continue a header.
func (r *raw) rest(block []byte) []byte {
	for {
		f, ok := r.read().(*http2.ContinuationFrame)
		if !ok {
			r.t.Fatal("a header is not continued")
		}
		if block = append(block, f.HeaderBlockFragment()...); f.HeadersEnded() {
			return block
		}
	}
}
