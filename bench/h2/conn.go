// Package h2 is a gRPC client for load: HTTP/2 by hand, over bench's needs and no more.
//
// It owns connections and their streams; what messages say, it doesn't know. A call costs a few
// microseconds, a tenth of what a client of google.golang.org/grpc costs: no goroutine belongs to a
// stream, a method's headers are a few bytes prepared once, and what is sent while input waits
// leaves with one write.
//
//	Start, Send ──> writer ──Flush──> server ──> Serve ──> Call.Message, Call.Done
//	                  ^ window updates, pings, settings ──┘
//
// It keeps to flow control both ways, answers PING and SETTINGS, and takes trailers and messages
// however frames cut them (RFC 9113; gRPC over HTTP/2). There is no TLS, no compression, no
// deadline and no reconnecting: a broken connection is the end of a measurement.
package h2

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
)

const (
	bufferBytes       = 64 << 10
	streamWindowBytes = 1 << 20
	connWindowBytes   = 16 << 20
	// http2WindowBytes is what both sides may send before any setting is known (RFC 9113, 6.9.2).
	http2WindowBytes = 65_535
	headerTableBytes = 4096
	frameBytesMax    = 16_384 // of what every peer takes (RFC 9113, 4.2)
)

// A Call hears what comes back on a stream. All its methods are called by the goroutine in Serve,
// one at a time for a connection, and may start calls on any connection.
type Call interface {
	// Message is an answer. The bytes are the connection's again once it returns.
	Message(message []byte)
	// Done is the end of the stream: nil for grpc-status 0, else a *Status or why there is none.
	Done(err error)
}

// Conn is a connection to a gRPC server, without TLS.
type Conn struct {
	socket net.Conn
	reader reader

	mu     sync.Mutex
	writer writer // by mu
	err    error  // by mu: why nothing can be sent any more
}

// Dial connects to host:port and speaks for as long as Serve runs.
func Dial(address string) (*Conn, error) {
	socket, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return Open(socket, address)
}

// Open is Dial over a socket that is there already, to a server called authority. The socket is the
// connection's, also if it can't be opened.
func Open(socket net.Conn, authority string) (*Conn, error) {
	c := &Conn{socket: socket}
	c.reader = newReader(bufio.NewReaderSize(socket, bufferBytes))
	c.writer = newWriter(authority, bufio.NewWriterSize(socket, bufferBytes))
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("h2: %s: %w", authority, err), socket.Close())
	}
	return c, nil
}

// open exchanges the prefaces: header blocks depend on the table that the server allows.
func (c *Conn) open() error {
	if err := c.writer.preface(); err != nil {
		return err
	}
	frame, err := c.reader.framer.ReadFrame()
	if err != nil {
		return err
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		return fmt.Errorf("began with a %v frame", frame.Header().Type)
	}
	if err := c.writer.settle(settings); err != nil {
		return err
	}
	return c.writer.out.Flush()
}

// Start opens a stream with a first message, copied; last says that no other follows. It returns
// at once; the bytes leave at the next Flush, or when Serve is about to wait for input.
func (c *Conn) Start(method string, message []byte, last bool, call Call) (StreamID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	return c.writer.start(method, message, last, call)
}

// Send adds a message, copied, to a stream whose last one wasn't sent yet.
func (c *Conn) Send(id StreamID, message []byte, last bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return c.writer.send(id, message, last)
}

// Cancel resets a stream. Its call hears nothing more.
func (c *Conn) Cancel(id StreamID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	delete(c.writer.streams, id)
	if err := c.writer.framer.WriteRSTStream(uint32(id), http2.ErrCodeCancel); err != nil {
		return err
	}
	return c.writer.out.Flush()
}

// Flush sends what is buffered.
func (c *Conn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writer.out.Flush()
}

// Serve reads until the connection ends, calling Calls, and returns why it ended: nil after Close.
// Calls under way then are Done with the reason.
func (c *Conn) Serve() error {
	err := c.serve()
	for _, s := range c.fail(err) {
		s.call.Done(err)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (c *Conn) serve() error {
	for {
		if c.reader.in.Buffered() == 0 {
			if err := c.Flush(); err != nil {
				return err
			}
		}
		frame, err := c.reader.framer.ReadFrame()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if err := c.handle(frame); err != nil {
			return err
		}
	}
}

// fail ends sending, and tells which streams were open.
func (c *Conn) fail(err error) []*stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	open := make([]*stream, 0, len(c.writer.streams))
	for _, s := range c.writer.streams {
		open = append(open, s)
	}
	clear(c.writer.streams)
	return open
}

// Close ends the connection; Serve then returns.
func (c *Conn) Close() error {
	return c.socket.Close()
}
