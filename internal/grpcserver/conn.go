package grpcserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Sizes of HTTP/2. The windows are what this side grants.
const (
	frameBytesDefault   = 16 << 10
	windowBytesDefault  = 64<<10 - 1
	streamWindowBytes   = 1 << 20
	connWindowBytes     = 16 << 20
	readBufferBytes     = 64 << 10
	handshakeTimeoutMax = 10 * time.Second
)

// conn is a connection of a client.
type conn struct {
	server *Server
	net    net.Conn
	// base is what all contexts of the connection's streams come from.
	base   context.Context
	cancel context.CancelCauseFunc
	in     inbound

	// mu guards what follows.
	mu      sync.Mutex
	out     out
	streams map[uint32]*stream
	// lastID is the highest id that the client has begun a stream with; after
	// final none is taken any more.
	lastID   uint32
	final    bool
	failure  error
	liveness liveness
}

// inbound is what only the reader uses.
type inbound struct {
	buffer *bufio.Reader
	framer *http2.Framer
	hpack  *hpack.Decoder
	head   head
	// trailersOf is the stream that the header being read belongs to the end of.
	trailersOf *stream
	// fields and ctx are the metadata of the last call, and base with it.
	fields []hpack.HeaderField
	ctx    context.Context
	md     metadata.MD
	// unacked are bytes that the client was not granted again yet.
	unacked int
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, net: nc, streams: map[uint32]*stream{}}
	base := peer.NewContext(context.Background(), &peer.Peer{
		Addr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr(),
	})
	c.base, c.cancel = context.WithCancelCause(base)
	c.out.init(&c.mu)
	c.in.buffer = bufio.NewReaderSize(nc, readBufferBytes)
	c.in.framer = http2.NewFramer(nil, c.in.buffer)
	c.in.framer.SetReuseFrames()
	c.in.framer.SetMaxReadFrameSize(frameBytesDefault)
	c.in.hpack = hpack.NewDecoder(headerTableBytes, c.in.head.add)
	c.in.hpack.SetMaxStringLength(headerBytesMax)
	return c
}

// serve reads until the connection ends. Its handlers may end later.
func (c *conn) serve() {
	var alive sync.WaitGroup
	alive.Go(c.keepAlive)
	err := c.handshake()
	if err == nil {
		err = c.read()
	}
	c.fail(err)
	alive.Wait()
}

// handshake reads the client's preface and says what this side grants.
func (c *conn) handshake() error {
	if err := c.net.SetReadDeadline(time.Now().Add(handshakeTimeoutMax)); err != nil {
		return err
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.in.buffer, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return errors.New("grpcserver: no HTTP/2 preface")
	}
	c.mu.Lock()
	c.out.settings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindowBytes},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: c.server.opts.StreamsMax},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: headerBytesMax},
	)
	c.out.windowUpdate(0, connWindowBytes-windowBytesDefault)
	c.mu.Unlock()
	return c.net.SetReadDeadline(time.Time{})
}

// read takes in frame after frame. What it has to say to them is flushed before
// it waits for more.
func (c *conn) read() error {
	for {
		if c.in.buffer.Buffered() == 0 {
			c.flush()
		}
		f, err := c.in.framer.ReadFrame()
		var reset http2.StreamError
		switch {
		case errors.As(err, &reset):
			c.giveUp(reset.StreamID, reset.Code)
			continue
		case err != nil:
			return c.unreadable(err)
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
}

// unreadable tells the client why its frame can't be read, if that is its fault.
func (c *conn) unreadable(err error) error {
	var broken http2.ConnectionError
	switch {
	case errors.As(err, &broken):
		c.goAway(http2.ErrCode(broken), "")
	case errors.Is(err, http2.ErrFrameTooLarge):
		c.goAway(http2.ErrCodeFrameSize, "")
	}
	return err
}

// take takes in a frame. An error ends the connection.
func (c *conn) take(f http2.Frame) error {
	c.liveness.heard.Add(1)
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.HeadersFrame:
		if err := c.beginHead(f.StreamID, f.StreamEnded()); err != nil {
			return err
		}
		return c.headPart(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.ContinuationFrame:
		return c.headPart(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.WindowUpdateFrame:
		return c.granted(f.StreamID, f.Increment)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		return c.pinged(f)
	case *http2.RSTStreamFrame:
		c.reset(f.StreamID)
	case *http2.PushPromiseFrame:
		return c.protocolError("a client pushes")
	}
	return nil // GOAWAY of a client, PRIORITY and what is unknown change nothing
}

// protocolError tells the client that it broke the protocol, which ends the
// connection.
func (c *conn) protocolError(what string) error {
	c.goAway(http2.ErrCodeProtocol, what)
	return errors.New("grpcserver: " + what)
}

// beginHead begins a header: of a new stream, or of the end of one.
func (c *conn) beginHead(id uint32, ends bool) error {
	c.in.head.begin(id, ends)
	c.in.trailersOf = nil
	if id%2 == 0 {
		return c.protocolError(fmt.Sprintf("a client's stream is numbered %d", id))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.lastID {
		c.lastID = id
		return nil
	}
	c.in.trailersOf = c.streams[id]
	c.in.head.late = c.in.trailersOf == nil
	return nil
}

// headPart takes in a part of a header.
func (c *conn) headPart(part []byte, whole bool) error {
	if _, err := c.in.hpack.Write(part); err != nil {
		c.goAway(http2.ErrCodeCompression, err.Error())
		return err
	}
	if !whole {
		if c.in.head.bytes > headerBytesMax {
			return c.protocolError(c.in.head.wrong)
		}
		return nil
	}
	if err := c.in.hpack.Close(); err != nil {
		c.goAway(http2.ErrCodeCompression, err.Error())
		return err
	}
	h := &c.in.head
	if st := c.in.trailersOf; st != nil {
		if !h.ends {
			return c.protocolError("a header in the middle of a stream does not end it")
		}
		st.inputEnded()
		return nil
	}
	if !h.late {
		c.open(h)
	}
	return nil
}

// context is base with the metadata of the call whose header was read. Calls with
// the same metadata share it.
func (c *conn) context() (context.Context, metadata.MD) {
	in := &c.in
	if in.ctx == nil || !sameFields(in.fields, in.head.fields) {
		in.fields = append(in.fields[:0], in.head.fields...)
		in.md = metadataOf(in.fields)
		in.ctx = metadata.NewIncomingContext(c.base, in.md)
	}
	return in.ctx, in.md
}

// data takes in a part of a stream's messages.
func (c *conn) data(f *http2.DataFrame) error {
	size := int(f.Length) // with the padding
	if c.in.unacked += size; c.in.unacked > connWindowBytes {
		c.goAway(http2.ErrCodeFlowControl, "more was sent than granted")
		return errors.New("grpcserver: flow control was broken")
	}
	if c.in.unacked >= connWindowBytes/4 {
		c.mu.Lock()
		c.out.windowUpdate(0, uint32(c.in.unacked))
		c.mu.Unlock()
		c.in.unacked = 0
	}
	c.mu.Lock()
	st, last := c.streams[f.StreamID], c.lastID
	c.mu.Unlock()
	switch {
	case st != nil:
		st.data(f.Data(), size, f.StreamEnded())
	case f.StreamID > last || f.StreamID%2 == 0:
		return c.protocolError("data of a stream that was never begun")
	}
	return nil
}

// settings takes note of what the client grants.
func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingInitialWindowSize:
			grown := int64(s.Val) - c.out.initialWindow
			c.out.initialWindow = int64(s.Val)
			for _, st := range c.streams {
				st.window += grown
			}
		case http2.SettingMaxFrameSize:
			c.out.frameBytesMax = int(min(s.Val, frameBytesMax))
		}
		return nil
	})
	if err == nil {
		c.out.settingsAck()
		c.out.room.Broadcast()
	}
	c.mu.Unlock()
	if err != nil {
		return c.protocolError(err.Error())
	}
	return nil
}

// granted takes note that the client takes more.
func (c *conn) granted(id, bytes uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := &c.out.window
	if id != 0 {
		st := c.streams[id]
		if st == nil {
			return nil
		}
		window = &st.window
	}
	if *window += int64(bytes); *window > math.MaxInt32 {
		if id != 0 {
			c.resetLocked(c.streams[id], http2.ErrCodeFlowControl)
			return nil
		}
		return errors.New("grpcserver: the client grants more than there can be")
	}
	c.out.room.Broadcast()
	return nil
}

// reset ends a stream that its client gave up.
func (c *conn) reset(id uint32) {
	c.mu.Lock()
	st := c.streams[id]
	delete(c.streams, id)
	c.out.room.Broadcast()
	c.mu.Unlock()
	if st != nil {
		st.end(context.Canceled)
		c.ended()
	}
}

// giveUp resets a stream, if it is there.
func (c *conn) giveUp(id uint32, code http2.ErrCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.streams[id]; st != nil {
		c.resetLocked(st, code)
		return
	}
	c.out.reset(id, code)
}

// resetLocked gives a stream up from this side. c.mu is held.
func (c *conn) resetLocked(st *stream, code http2.ErrCode) {
	delete(c.streams, st.id)
	c.out.reset(st.id, code)
	st.end(context.Canceled)
	c.out.room.Broadcast()
}

// drain takes no more streams; the connection ends when those under way have.
func (c *conn) drain() {
	c.mu.Lock()
	if !c.final {
		c.final = true
		c.out.goAway(c.lastID, http2.ErrCodeNo, "")
	}
	c.mu.Unlock()
	c.flush()
	c.ended()
}

// ended follows the end of a stream: the last one of a draining connection ends
// that too.
func (c *conn) ended() {
	c.mu.Lock()
	over := c.final && len(c.streams) == 0
	c.mu.Unlock()
	if over {
		c.flush()
		c.fail(io.EOF)
	}
}

// goAway tells the client why the connection is about to end.
func (c *conn) goAway(code http2.ErrCode, why string) {
	c.mu.Lock()
	c.final = true
	c.out.goAway(c.lastID, code, why)
	c.mu.Unlock()
	c.flush()
}

// fail ends the connection and all of its streams. Only the first call counts.
func (c *conn) fail(err error) {
	if err == nil {
		err = io.EOF
	}
	c.mu.Lock()
	if c.failure != nil {
		c.mu.Unlock()
		return
	}
	c.failure, c.final = err, true
	streams := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		streams = append(streams, st)
	}
	clear(c.streams)
	c.out.room.Broadcast()
	c.mu.Unlock()
	_ = c.net.Close()
	c.cancel(err)
	for _, st := range streams {
		st.end(context.Canceled)
	}
}
