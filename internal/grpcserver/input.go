package grpcserver

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const encodingGzip = "gzip"

// input is what a client sends on a stream.
type input struct {
	gzipped bool
	// ended says that the client sends no more.
	ended atomic.Bool

	mu sync.Mutex
	// part is the beginning of a message, ready the messages that wait for the
	// handler.
	part  *buffer
	ready []*buffer
	// failure is why nothing more is read.
	failure error
	// unacked are bytes that the client was not granted again, pending those of
	// them that are to be.
	unacked, pending int
	// arrived has a token when there may be something new. Unary calls have none;
	// they have a timer that ends them if the rest of the message does not come.
	arrived chan struct{}
	rest    *time.Timer
}

// buffer is a byte slice that is used again.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// bufferBytesKept is the largest buffer that is kept for the next message.
const bufferBytesKept = 64 << 10

func newBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.bytes = b.bytes[:0]
	return b
}

func (b *buffer) release() {
	if cap(b.bytes) <= bufferBytesKept {
		buffers.Put(b)
	}
}

// data takes in a part of a stream's messages.
func (c *conn) data(f frame) error {
	if err := c.checkIdle(f.id); err != nil {
		return err
	}
	size := len(f.payload) // with the padding
	if c.in.unacked += size; c.in.unacked > connWindowBytes {
		return &breach{http2.ErrCodeFlowControl, "more was sent than granted"}
	}
	if c.in.unacked >= connWindowBytes/4 {
		c.mu.Lock()
		c.out.windowUpdate(0, uint32(c.in.unacked))
		c.mu.Unlock()
		c.in.unacked = 0
	}
	part, err := f.content()
	if err != nil {
		return err
	}
	st := c.in.newest
	if st == nil || st.id != f.id {
		c.mu.Lock()
		st = c.streams[f.id]
		c.mu.Unlock()
	}
	switch {
	case st == nil: // it has ended meanwhile
	case st.input.ended.Load():
		c.giveUp(f.id, http2.ErrCodeStreamClosed)
	default:
		st.data(part, size, f.flags.Has(http2.FlagDataEndStream))
	}
	return nil
}

// data takes in a part of the stream; size is what flow control counts.
func (st *stream) data(part []byte, size int, ends bool) {
	in := &st.input
	in.mu.Lock()
	in.unacked += size
	in.pending += size
	if in.unacked > streamWindowBytes {
		in.mu.Unlock()
		st.conn.giveUp(st.id, http2.ErrCodeFlowControl)
		return
	}
	for len(part) > 0 && in.failure == nil {
		part = st.assemble(part)
	}
	failure, grant := in.failure, st.grantable(ends)
	in.mu.Unlock()
	if grant > 0 {
		st.grant(grant)
	}
	if ends {
		st.inputEnded()
		return
	}
	if failure != nil && st.method.unary != nil {
		st.refuse(failure)
		return
	}
	st.tell()
}

// refuse ends a unary call that can't be read.
func (st *stream) refuse(err error) {
	c := st.conn
	c.mu.Lock()
	c.endLocked(st, statusOf(err))
	c.mu.Unlock()
	st.end(context.Canceled)
	st.leaveUnbegun(statusOf(err).Code())
}

// assemble adds to the message that is being read, and returns what belongs to the
// next one.
func (st *stream) assemble(part []byte) (rest []byte) {
	in := &st.input
	if in.part == nil {
		in.part = newBuffer()
	}
	b := in.part
	isNew := len(b.bytes) < messageHeadBytes
	if missing := messageHeadBytes - len(b.bytes); missing > 0 {
		n := min(missing, len(part))
		b.bytes, part = append(b.bytes, part[:n]...), part[n:]
		if n < missing {
			return nil
		}
	}
	size := int(binary.BigEndian.Uint32(b.bytes[1:]))
	if most := st.conn.server.opts.MessageBytesMax; size > most {
		in.failure = status.Errorf(codes.ResourceExhausted,
			"grpc: received message larger than max (%d vs. %d)", size, most)
		return nil
	}
	if isNew {
		if in.failure = st.take(size); in.failure != nil {
			return nil
		}
	}
	n := min(messageHeadBytes+size-len(b.bytes), len(part))
	b.bytes, rest = append(b.bytes, part[:n]...), part[n:]
	if len(b.bytes) == messageHeadBytes+size {
		in.part = nil
		st.complete(b)
	}
	return rest
}

// complete takes in a whole message.
func (st *stream) complete(b *buffer) {
	in := &st.input
	if st.method.unary != nil && len(in.ready) > 0 {
		in.failure = status.Error(codes.Internal, "a unary call has more than one message")
		return
	}
	in.ready = append(in.ready, b)
}

// Flags of a message.
const (
	flagPlain = iota
	flagCompressed
)

// plain is a message without its head, decompressed. It may be valid only as long
// as b is.
func (st *stream) plain(b *buffer) ([]byte, error) {
	data := b.bytes[messageHeadBytes:]
	switch flag := b.bytes[0]; {
	case flag == flagPlain:
		return data, nil
	case flag != flagCompressed:
		return nil, status.Errorf(codes.Internal, "grpc: a message has the unknown flag %d", flag)
	case !st.input.gzipped:
		return nil, status.Error(codes.Internal,
			"grpc: compressed flag set with identity or empty encoding")
	}
	most := st.conn.server.opts.MessageBytesMax
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress: %v", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil:
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress: %v", err)
	case len(plain) > most:
		return nil, status.Errorf(codes.ResourceExhausted,
			"grpc: received message after decompression larger than max %d", most)
	}
	st.hold(len(plain))
	return plain, nil
}

// grantable is what the client may be granted again: everything, as long as no
// message waits for the handler, but not each little bit.
func (st *stream) grantable(ends bool) int {
	in := &st.input
	waits := st.method.stream != nil && len(in.ready) > 0
	if ends || waits || in.pending < streamWindowBytes/2 {
		return 0
	}
	n := in.pending
	in.unacked -= n
	in.pending = 0
	return n
}

func (st *stream) grant(bytes int) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] == st {
		c.out.windowUpdate(st.id, uint32(bytes))
	}
}

// inputEnded follows the end of what the client sends.
func (st *stream) inputEnded() {
	in := &st.input
	in.ended.Store(true)
	if st.method.stream != nil {
		st.tell()
		return
	}
	st.conn.in.newest = nil
	in.mu.Lock()
	failure, ready, partial := in.failure, in.ready, in.part != nil
	in.ready = nil
	in.stopTimer()
	in.mu.Unlock()
	switch {
	case failure != nil:
		st.refuse(failure)
	case partial:
		st.refuse(status.Error(codes.Internal, "the call ends in the middle of a message"))
	case len(ready) == 0:
		st.refuse(status.Error(codes.Internal, "a unary call has no message"))
	default:
		if st.fate.begin() {
			st.conn.server.call(st, ready[0])
		}
	}
}

// tell wakes a handler that waits for a message.
func (st *stream) tell() {
	select {
	case st.input.arrived <- struct{}{}:
	default: // it is awake already, or the call is unary
	}
}

// next waits for a message. It returns io.EOF after the last.
func (st *stream) next() (*buffer, error) {
	in := &st.input
	for {
		in.mu.Lock()
		// What ended is looked at first: what came before it is in ready then.
		ended := in.ended.Load()
		if len(in.ready) > 0 {
			message := in.ready[0]
			in.ready = in.ready[1:]
			grant := st.grantable(ended)
			in.mu.Unlock()
			if grant > 0 {
				st.grant(grant)
				st.conn.flushSoon()
			}
			return message, nil
		}
		failure, partial := in.failure, in.part != nil
		in.mu.Unlock()
		switch {
		case failure != nil:
			return nil, failure
		case ended && partial:
			return nil, status.Error(codes.Internal, "the stream ends in the middle of a message")
		case ended:
			return nil, io.EOF
		}
		select {
		case <-in.arrived:
		case <-st.Done():
			return nil, status.FromContextError(st.Err()).Err()
		}
	}
}
