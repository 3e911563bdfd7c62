package h2

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// messageBytesMax bounds what is gathered of one message.
const messageBytesMax = 64 << 20

// reader is the receiving half, of the goroutine in Serve.
type reader struct {
	in      *bufio.Reader
	framer  *http2.Framer
	decoder *hpack.Decoder
	unread  int // bytes for which the server wasn't given room on the connection again

	block blockState
}

// blockState is the header block that is being decoded.
type blockState struct {
	http    string
	grpc    string
	message string
	ends    bool // the stream, with this block
}

// A Status is a call's failure in the server's words.
type Status struct {
	Code    int // gRPC's; -1 if the server told none
	HTTP    string
	Message string
}

func (s *Status) Error() string {
	return fmt.Sprintf("grpc-status %d (HTTP %s): %s", s.Code, s.HTTP, s.Message)
}

func newReader(in *bufio.Reader) reader {
	r := reader{in: in, framer: http2.NewFramer(nil, in)}
	r.framer.SetReuseFrames()
	r.decoder = hpack.NewDecoder(headerTableBytes, nil)
	return r
}

func (c *Conn) handle(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		return c.handleData(f)
	case *http2.HeadersFrame:
		c.reader.block = blockState{ends: f.StreamEnded()}
		return c.handleBlock(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.ContinuationFrame:
		return c.handleBlock(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.RSTStreamFrame:
		c.finish(StreamID(f.StreamID), fmt.Errorf("h2: stream reset: %v", f.ErrCode))
		return nil
	case *http2.GoAwayFrame:
		return fmt.Errorf("h2: server goes away: %v: %s", f.ErrCode, f.DebugData())
	default:
		return c.handleControl(frame)
	}
}

// handleControl is what the sending half needs to know.
func (c *Conn) handleControl(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f := frame.(type) {
	case *http2.WindowUpdateFrame:
		return c.writer.grant(StreamID(f.StreamID), int64(f.Increment))
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.writer.framer.WritePing(true, f.Data)
		}
	case *http2.SettingsFrame:
		if !f.IsAck() {
			if err := c.writer.settle(f); err != nil {
				return err
			}
			return c.writer.resume()
		}
	}
	return nil
}

func (c *Conn) handleData(f *http2.DataFrame) error {
	s, err := c.receive(StreamID(f.StreamID), int(f.Length))
	if err != nil || s == nil {
		return err
	}
	rest := f.Data()
	if len(s.part) > 0 {
		s.part = append(s.part, rest...)
		rest = s.part
	}
	for {
		message, after, err := cutMessage(rest)
		if err != nil {
			return err
		}
		if message == nil {
			s.part = append(s.part[:0], rest...)
			break
		}
		s.call.Message(message)
		rest = after
	}
	if f.StreamEnded() {
		c.finish(StreamID(f.StreamID), &Status{Code: -1, Message: "no trailers"})
	}
	return nil
}

// cutMessage takes a whole gRPC message off; nil if it is not all there.
func cutMessage(in []byte) (message, rest []byte, err error) {
	if len(in) < 5 {
		return nil, in, nil
	}
	if in[0] != 0 {
		return nil, nil, fmt.Errorf("h2: a compressed message, which was not asked for")
	}
	length := binary.BigEndian.Uint32(in[1:])
	if length > messageBytesMax {
		return nil, nil, fmt.Errorf("h2: a message of %d bytes, over %d", length, messageBytesMax)
	}
	if uint64(len(in)-5) < uint64(length) {
		return nil, in, nil
	}
	end := 5 + int(length)
	return in[5:end:end], in[end:], nil
}

// receive finds the stream, and gives the server room again once half of a window is used.
func (c *Conn) receive(id StreamID, length int) (*stream, error) {
	c.reader.unread += length
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader.unread >= connWindowBytes/2 {
		if err := c.writer.framer.WriteWindowUpdate(0, uint32(c.reader.unread)); err != nil {
			return nil, err
		}
		c.reader.unread = 0
	}
	s := c.writer.streams[id]
	if s == nil {
		return nil, nil
	}
	s.unread += length
	if s.unread >= streamWindowBytes/2 {
		if err := c.writer.framer.WriteWindowUpdate(uint32(id), uint32(s.unread)); err != nil {
			return nil, err
		}
		s.unread = 0
	}
	return s, nil
}

// handleBlock decodes a part of headers or trailers.
func (c *Conn) handleBlock(id uint32, fragment []byte, whole bool) error {
	r := &c.reader
	r.decoder.SetEmitFunc(r.field)
	if _, err := r.decoder.Write(fragment); err != nil {
		return err
	}
	if !whole {
		return nil
	}
	if err := r.decoder.Close(); err != nil {
		return err
	}
	if !r.block.ends && r.block.http == "200" {
		return nil // what follows is gRPC
	}
	c.finish(StreamID(id), r.block.status())
	return nil
}

func (r *reader) field(f hpack.HeaderField) {
	switch f.Name {
	case ":status":
		r.block.http = f.Value
	case "grpc-status":
		r.block.grpc = f.Value
	case "grpc-message":
		r.block.message = f.Value
	}
}

func (b *blockState) status() error {
	if b.ends && b.grpc == "0" {
		return nil
	}
	code, err := strconv.Atoi(b.grpc)
	if err != nil {
		code = -1
	}
	message, err := url.PathUnescape(b.message) // percent-encoded, by gRPC's specification
	if err != nil {
		message = b.message
	}
	return &Status{Code: code, HTTP: b.http, Message: message}
}

// finish forgets a stream and tells its call, if it was not told before.
func (c *Conn) finish(id StreamID, err error) {
	c.mu.Lock()
	s := c.writer.streams[id]
	delete(c.writer.streams, id)
	c.mu.Unlock()
	if s != nil {
		s.call.Done(err)
	}
}
