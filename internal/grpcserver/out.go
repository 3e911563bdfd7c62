package grpcserver

import (
	"encoding/binary"
	"runtime"
	"sync"

	"golang.org/x/net/http2"
)

const (
	// frameBytesMax is the longest frame that is sent, however long the client
	// takes them.
	frameBytesMax = 64 << 10
	// outBytesMax is how much waits for the socket before those who write wait.
	outBytesMax = 512 << 10
	// outBytesKept is the largest buffer that is kept while there is nothing to
	// write.
	outBytesKept = 128 << 10

	frameHeadBytes   = 9
	messageHeadBytes = 5
)

// out is the part of a connection that sends. The connection's lock guards it.
type out struct {
	buf, spare []byte
	// flushing says that somebody writes to the socket, due that somebody is
	// about to.
	flushing, due bool
	// sent says that a client's ping may follow from what was sent.
	sent bool
	// window is what the client takes on the connection, initialWindow on a new
	// stream.
	window, initialWindow int64
	frameBytesMax         int
	// room is signalled when a window grows, when the buffer was written, and
	// when a stream or the connection ends.
	room sync.Cond
}

func (o *out) init(mu *sync.Mutex) {
	o.room.L = mu
	o.window, o.initialWindow = windowBytesDefault, windowBytesDefault
	o.frameBytesMax = frameBytesDefault
}

// frame appends the head of a frame.
func (o *out) frame(size int, kind http2.FrameType, flags http2.Flags, id uint32) {
	o.buf = append(o.buf, byte(size>>16), byte(size>>8), byte(size), byte(kind), byte(flags))
	o.buf = binary.BigEndian.AppendUint32(o.buf, id)
}

func (o *out) settings(list ...http2.Setting) {
	o.frame(6*len(list), http2.FrameSettings, 0, 0)
	for _, s := range list {
		o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(s.ID))
		o.buf = binary.BigEndian.AppendUint32(o.buf, s.Val)
	}
}

func (o *out) settingsAck() { o.frame(0, http2.FrameSettings, http2.FlagSettingsAck, 0) }

func (o *out) windowUpdate(id, bytes uint32) {
	o.frame(4, http2.FrameWindowUpdate, 0, id)
	o.buf = binary.BigEndian.AppendUint32(o.buf, bytes)
}

func (o *out) ping(data [8]byte, flags http2.Flags) {
	o.frame(len(data), http2.FramePing, flags, 0)
	o.buf = append(o.buf, data[:]...)
}

func (o *out) reset(id uint32, code http2.ErrCode) {
	o.frame(4, http2.FrameRSTStream, 0, id)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(code))
}

func (o *out) goAway(lastID uint32, code http2.ErrCode, why string) {
	o.frame(8+len(why), http2.FrameGoAway, 0, 0)
	o.buf = binary.BigEndian.AppendUint32(o.buf, lastID)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(code))
	o.buf = append(o.buf, why...)
}

// header appends a header. One that is too long for a frame goes on in others.
func (o *out) header(id uint32, block []byte, ends bool) {
	o.sent = true
	var flags http2.Flags
	if ends {
		flags = http2.FlagHeadersEndStream
	}
	kind := http2.FrameHeaders
	for {
		part := block[:min(len(block), o.frameBytesMax)]
		if block = block[len(part):]; len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		o.frame(len(part), kind, flags, id)
		o.buf = append(o.buf, part...)
		if len(block) == 0 {
			return
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// data appends a part of a stream's messages, which fits into a frame and into
// the windows.
func (o *out) data(id uint32, part []byte) {
	o.sent = true
	o.frame(len(part), http2.FrameData, 0, id)
	o.buf = append(o.buf, part...)
}

// flush writes what waits, unless somebody else does.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
}

// flushSoon lets others run first, who may have something to add: then one system
// call does for all.
func (c *conn) flushSoon() {
	c.mu.Lock()
	if c.out.due || c.out.flushing {
		c.mu.Unlock()
		return
	}
	c.out.due = true
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.due = false
	c.flushLocked()
}

// flushLocked writes until nothing is left. c.mu is held, but not while it writes.
func (c *conn) flushLocked() {
	o := &c.out
	if o.flushing {
		return // who writes looks again before it leaves
	}
	o.flushing = true
	for len(o.buf) > 0 && c.failure == nil {
		buf := o.buf
		o.buf, o.spare = o.spare[:0], nil
		c.mu.Unlock()
		_, err := c.net.Write(buf)
		if err != nil {
			c.fail(err)
		}
		c.mu.Lock()
		if cap(buf) <= outBytesKept {
			o.spare = buf
		}
		o.room.Broadcast()
	}
	o.flushing = false
}
