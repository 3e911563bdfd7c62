package grpcserver_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// BenchmarkCalls has gRPC's own client call, which hides what the server costs.
func BenchmarkCalls(b *testing.B) {
	_, cc := start(b, &echo{}, grpcserver.Options{})
	b.ReportAllocs()
	b.SetParallelism(32)
	in := make([]byte, 256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := call(b.Context(), cc, in); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkUnary has clients call that cost next to nothing, 64 calls at a time over
// six connections. cpu-ns/op is what both sides take of all processors.
func BenchmarkUnary(b *testing.B) {
	for _, timeouts := range []bool{false, true} {
		name := "plain"
		if timeouts {
			name = "deadlines"
		}
		b.Run(name, func(b *testing.B) { benchmarkUnary(b, 6, 64, timeouts) })
	}
	b.Run("one", func(b *testing.B) { benchmarkUnary(b, 1, 1, false) })
}

func benchmarkUnary(b *testing.B, conns, calls int, timeouts bool) {
	addr := serve(b, &echo{}, grpcserver.Options{})
	var left atomic.Int64
	left.Store(int64(b.N))
	clients := make([]*leanClient, conns)
	for i := range clients {
		clients[i] = newLeanClient(b, addr, timeouts)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	var running sync.WaitGroup
	for i, c := range clients {
		running.Go(func() { c.run((calls+i)/conns, &left) })
	}
	running.Wait()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// leanClient sends the same call over and over.
type leanClient struct {
	b      *testing.B
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	nextID uint32
	block  []byte
	data   []byte
	// timeouts says that each call has a deadline that the last had not, as calls of
	// grpc-go's clients do. encode is what such a client encodes with.
	timeouts bool
	encoded  bytes.Buffer
	encode   *hpack.Encoder
}

func newLeanClient(b *testing.B, addr string, timeouts bool) *leanClient {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = nc.Close() })
	c := &leanClient{b: b, conn: nc, nextID: 1, timeouts: timeouts}
	c.in = bufio.NewReaderSize(nc, 64<<10)
	c.encode = hpack.NewEncoder(&c.encoded)
	c.data = message(wrapperspb.Bytes(make([]byte, 256)))
	var first bytes.Buffer
	first.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&first, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	_ = framer.WriteSettingsAck()
	_ = framer.WriteWindowUpdate(0, 1<<30)
	c.out = first.Bytes()
	if !timeouts {
		c.header()
	}
	c.call()
	if !timeouts {
		c.header() // indexes alone, from now on
	}
	c.flush()
	for c.frame() != http2.FlagHeadersEndStream|http2.FlagHeadersEndHeaders {
	}
	return c
}

func (c *leanClient) header() {
	c.encoded.Reset()
	fields := callFields
	if c.timeouts {
		timeout := hpack.HeaderField{Name: "grpc-timeout", Value: string([]byte{
			'4', byte('0' + c.nextID/2000%10), byte('0' + c.nextID/200%10),
			byte('0' + c.nextID/20%10), byte('0' + c.nextID/2%10), 'm',
		})}
		fields = append(fields[:len(fields):len(fields)], timeout)
	}
	for _, f := range fields {
		_ = c.encode.WriteField(f)
	}
	c.block = append(c.block[:0], c.encoded.Bytes()...)
}

func (c *leanClient) call() {
	if c.timeouts {
		c.header()
	}
	c.append(http2.FrameHeaders, http2.FlagHeadersEndHeaders, c.block)
	c.append(http2.FrameData, http2.FlagDataEndStream, c.data)
	c.nextID += 2
}

func (c *leanClient) append(kind http2.FrameType, flags http2.Flags, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, c.nextID)
	c.out = append(c.out, payload...)
}

func (c *leanClient) flush() {
	if _, err := c.conn.Write(c.out); err != nil {
		c.b.Error(err)
	}
	c.out = c.out[:0]
}

// frame reads a frame. It returns the flags of a header, else 0.
func (c *leanClient) frame() http2.Flags {
	head, err := c.in.Peek(9)
	if err != nil {
		c.b.Fatal(err)
	}
	kind, flags := http2.FrameType(head[3]), http2.Flags(head[4])
	_, _ = c.in.Discard(9 + int(head[0])<<16 + int(head[1])<<8 + int(head[2]))
	if kind == http2.FrameHeaders {
		return flags
	}
	return 0
}

func (c *leanClient) run(calls int, left *atomic.Int64) {
	open := 0
	for range calls {
		if left.Add(-1) >= 0 {
			c.call()
			open++
		}
	}
	for open > 0 {
		if c.in.Buffered() == 0 && len(c.out) > 0 {
			c.flush()
		}
		if !c.frame().Has(http2.FlagHeadersEndStream) {
			continue
		}
		if open--; left.Add(-1) >= 0 {
			c.call()
			open++
		}
	}
	// What was granted is not asked for again: windows never fill here.
	_, _ = c.in.Discard(c.in.Buffered())
}
