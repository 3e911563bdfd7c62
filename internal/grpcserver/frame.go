package grpcserver

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
)

// frame is a frame as it is read. Its payload is valid until the next is.
type frame struct {
	kind    http2.FrameType
	flags   http2.Flags
	id      uint32
	payload []byte
}

// readFrame reads a frame where it lies in the buffer.
func (c *conn) readFrame() (frame, error) {
	head, err := c.peek(frameHeadBytes)
	if err != nil {
		return frame{}, err
	}
	size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if size > frameBytesDefault {
		return frame{}, &breach{http2.ErrCodeFrameSize, "a frame is too long"}
	}
	whole, err := c.peek(frameHeadBytes + size)
	if err != nil {
		return frame{}, err
	}
	f := frame{
		kind: http2.FrameType(whole[3]), flags: http2.Flags(whole[4]),
		id:      binary.BigEndian.Uint32(whole[5:]) &^ (1 << 31),
		payload: whole[frameHeadBytes:],
	}
	_, err = c.in.buffer.Discard(len(whole)) // which leaves it where it is
	return f, err
}

// peek waits for n bytes.
func (c *conn) peek(n int) ([]byte, error) {
	if c.in.buffer.Buffered() >= n {
		return c.in.buffer.Peek(n)
	}
	c.catchUp()
	b, err := c.in.buffer.Peek(n)
	c.liveness.heard.Add(1)
	return b, err
}

// content is the payload without the padding.
func (f *frame) content() ([]byte, error) {
	if !f.flags.Has(http2.FlagDataPadded) {
		return f.payload, nil
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return nil, &breach{http2.ErrCodeProtocol, "the padding is longer than the frame"}
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], nil
}

// fragment is the part of a header that a HEADERS frame has.
func (f *frame) fragment() ([]byte, error) {
	const priorityBytes = 5
	b, err := f.content()
	if err != nil || !f.flags.Has(http2.FlagHeadersPriority) {
		return b, err
	}
	if len(b) < priorityBytes {
		return nil, &breach{http2.ErrCodeFrameSize, "a header has no room for its priority"}
	}
	return b[priorityBytes:], nil
}

// lengths are those of frames that have only one.
var lengths = map[http2.FrameType]int{
	http2.FrameRSTStream: 4, http2.FramePing: 8, http2.FrameWindowUpdate: 4,
}

// check finds what is wrong with a frame whatever came before.
func (f *frame) check() error {
	switch f.kind {
	case http2.FrameData, http2.FrameHeaders, http2.FramePriority, http2.FrameRSTStream,
		http2.FrameContinuation:
		if f.id == 0 {
			return &breach{http2.ErrCodeProtocol, f.kind.String() + " of no stream"}
		}
	case http2.FrameSettings, http2.FramePing, http2.FrameGoAway:
		if f.id != 0 {
			return &breach{http2.ErrCodeProtocol, f.kind.String() + " of a stream"}
		}
	}
	if f.kind == http2.FrameData || f.kind == http2.FrameHeaders {
		return nil
	}
	if n, ok := lengths[f.kind]; ok && n != len(f.payload) {
		return &breach{http2.ErrCodeFrameSize, f.kind.String() + " has a wrong length"}
	}
	return nil
}

// take takes in a frame. An error ends the connection.
func (c *conn) take(f frame) error {
	if err := f.check(); err != nil {
		return err
	}
	if !c.in.greeted {
		return c.greet(f)
	}
	if c.in.block.open && (f.kind != http2.FrameContinuation || f.id != c.in.block.id) {
		return &breach{http2.ErrCodeProtocol, "a header is not continued"}
	}
	switch f.kind {
	case http2.FrameData:
		return c.data(f)
	case http2.FrameHeaders:
		return c.header(f)
	case http2.FrameContinuation:
		return c.continued(f)
	case http2.FrameWindowUpdate:
		return c.granted(f.id, binary.BigEndian.Uint32(f.payload)&^(1<<31))
	case http2.FrameSettings:
		return c.settings(f)
	case http2.FramePing:
		return c.pinged([8]byte(f.payload), f.flags.Has(http2.FlagPingAck))
	case http2.FrameRSTStream:
		return c.reset(f.id)
	case http2.FramePushPromise:
		return &breach{http2.ErrCodeProtocol, "a client pushes"}
	}
	return nil // GOAWAY of a client, PRIORITY and what is unknown change nothing
}

// greet takes in the first frame.
func (c *conn) greet(f frame) error {
	if f.kind != http2.FrameSettings || f.flags.Has(http2.FlagSettingsAck) {
		return &breach{http2.ErrCodeProtocol, "the first frame is no SETTINGS"}
	}
	c.in.greeted = true
	if err := c.net.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return c.settings(f)
}
