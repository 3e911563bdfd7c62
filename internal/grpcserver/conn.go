package grpcserver

import (
	"bufio"
	"context"
	"errors"
	"io"
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
	// helpers are the goroutines of the connection itself. draining is closed when
	// the server takes no more calls.
	helpers  sync.WaitGroup
	draining chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	out     out
	streams map[uint32]*stream
	// lastID is the highest id of a stream that was taken; after final none is.
	lastID uint32
	final  bool
	leftovers
	failure  error
	liveness liveness
}

// inbound is what only the reader uses.
type inbound struct {
	buffer *bufio.Reader
	// greeted says that the client's first settings were read.
	greeted bool
	// lastID is the highest id that the client has begun a stream with.
	lastID uint32
	// newest is the unary call that was begun last, if its message may follow.
	newest *stream
	// awaited are the unary calls that were begun since the reader waited.
	awaited []*stream
	// block is the header that is being read, if it is in several frames.
	block headerBlock
	hpack *hpack.Decoder
	head  head
	// known are requests by their headers, as long as those mean the same.
	known map[string]request
	// ctx is base with the metadata of the fields, which are the last call's.
	fields []hpack.HeaderField
	ctx    context.Context
	md     metadata.MD
	// unacked are bytes that the client was not granted again yet.
	unacked int
	refusals
}

// breach is a client's breach of the protocol that ends the connection.
type breach struct {
	code http2.ErrCode
	why  string
}

func (b *breach) Error() string { return "grpcserver: " + b.code.String() + ": " + b.why }

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		server: s, net: nc, streams: map[uint32]*stream{}, draining: make(chan struct{}),
	}
	base := peer.NewContext(context.Background(), &peer.Peer{
		Addr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr(),
	})
	c.base, c.cancel = context.WithCancelCause(base)
	c.in.buffer = bufio.NewReaderSize(nc, readBufferBytes)
	c.in.known = map[string]request{}
	c.in.hpack = hpack.NewDecoder(headerTableBytes, c.in.head.add)
	c.in.hpack.SetMaxStringLength(headerBytesMax)
	c.out.init(&c.mu)
	// Whatever is said first, it follows the settings.
	c.out.settings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindowBytes},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.opts.StreamsMax},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: headerBytesMax},
	)
	c.out.windowUpdate(0, connWindowBytes-windowBytesDefault)
	return c
}

// serve reads until the connection ends. Its handlers may end later.
func (c *conn) serve() {
	c.helpers.Go(c.watch)
	err := c.handshake()
	if err == nil {
		err = c.read()
	}
	var fault *breach
	if errors.As(err, &fault) {
		c.goAway(fault)
		// What is not read when a socket closes makes it a reset, and the client
		// would lose what it was told.
		_, _ = io.Copy(io.Discard, c.net)
	}
	c.fail(err)
	c.leaveOrphans()
	c.helpers.Wait()
}

// handshake reads the client's preface.
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
	return nil
}

// read takes in frame after frame. An error is why there are no more.
func (c *conn) read() error {
	for {
		f, err := c.readFrame()
		if err != nil {
			return err
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
}

// catchUp is what the reader does before it waits for more: it has what was said
// written, and stays behind a client that does not read, or that begins calls and
// gives them up faster than they end.
func (c *conn) catchUp() {
	c.awaitRest()
	c.yield()
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.out
	for {
		if !o.due {
			c.flushLocked()
		}
		if c.failure != nil || o.shut ||
			len(o.buf) < outBytesMax && c.abandoned <= abandonedMax {
			return
		}
		if o.due || o.flushing || len(o.buf) == 0 {
			o.calm.Wait()
		}
	}
}

// goAway tells the client what it did wrong, and ends all calls.
func (c *conn) goAway(fault *breach) {
	c.mu.Lock()
	c.out.goAway(c.lastID, fault.code, fault.why)
	c.final = true
	streams := c.forgetLocked()
	c.partLocked()
	c.mu.Unlock()
	for _, st := range streams {
		st.end(context.Canceled)
	}
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
	streams := c.forgetLocked()
	c.mu.Unlock()
	_ = c.net.Close()
	c.cancel(err)
	for _, st := range streams {
		st.end(context.Canceled)
	}
}

// forgetLocked forgets all streams, and wakes all who wait. c.mu is held.
func (c *conn) forgetLocked() []*stream {
	streams := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		streams = append(streams, st)
		st.wakeLocked()
	}
	clear(c.streams)
	c.orphans = append(c.orphans, streams...)
	c.out.calm.Broadcast()
	return streams
}
