package grpcserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stream is a call under way. It is the call's context, too.
type stream struct {
	life
	conn   *conn
	id     uint32
	method *method
	md     metadata.MD
	input  input

	// window is what the client takes of the stream; the connection's lock
	// guards it, and headed, which says that the answer's header was sent.
	window int64
	headed bool
	// header and trailer are what the handler wants to send; it alone uses them.
	header, trailer metadata.MD
}

// open begins the stream whose header was read, or refuses it.
func (c *conn) open(h *head) {
	m := c.server.methods[h.path]
	switch {
	case h.wrong != "":
		c.refuse(h, status.New(codes.Internal, "malformed header: "+h.wrong))
		return
	case h.method != "POST":
		c.refuseHTTP(h, "405")
		return
	case !h.isGRPC():
		c.refuseHTTP(h, "415")
		return
	case m == nil:
		c.refuse(h, status.New(codes.Unimplemented, c.server.missing(h.path)))
		return
	case h.encoding != "" && h.encoding != "identity" && h.encoding != encodingGzip:
		c.refuse(h, status.Newf(codes.Unimplemented, "grpc-encoding %q is not known, only %s",
			h.encoding, encodingGzip))
		return
	}
	st := &stream{conn: c, id: h.id, method: m}
	st.values, st.md = c.context()
	st.input.gzipped = h.encoding == encodingGzip
	st.expired = c.wake
	if h.hasTimeout {
		st.deadline = time.Now().Add(h.timeout)
	}
	if admit := c.server.opts.Admit; admit != nil {
		if err := admit(st.md); err != nil {
			c.refuse(h, statusOf(err))
			return
		}
	}
	if !c.enter(st) {
		return
	}
	if m.stream != nil {
		st.input.arrived = make(chan struct{}, 1)
		c.server.running.Go(st.serveStream)
	}
	if h.ends {
		st.inputEnded()
	}
}

// enter makes st one of the connection's streams, if there is room.
func (c *conn) enter(st *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final || len(c.streams) >= int(min(c.server.opts.StreamsMax, 1<<31-1)) {
		c.out.reset(st.id, http2.ErrCodeRefusedStream)
		return false
	}
	st.window = c.out.initialWindow
	c.streams[st.id] = st
	return true
}

// missing says what there is not at a path.
func (s *Server) missing(path string) string {
	service, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return fmt.Sprintf("malformed method name: %q", path)
	}
	if _, ok := s.info[service]; !ok {
		return "unknown service " + service
	}
	return fmt.Sprintf("unknown method %s for service %s", name, service)
}

// refuse answers a call that has no stream.
func (c *conn) refuse(h *head, st *status.Status) {
	c.refuseWith(h, appendTrailers(append([]byte(nil), okHeaders...), st))
}

// refuseHTTP answers what is no call of gRPC. The name of the status is number 8
// of the static table.
func (c *conn) refuseHTTP(h *head, code string) {
	c.refuseWith(h, appendString([]byte{8}, code))
}

func (c *conn) refuseWith(h *head, block []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.header(h.id, block, true)
	if !h.ends {
		c.out.reset(h.id, http2.ErrCodeNo)
	}
}

// wake has everybody who waits for room look again.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.room.Broadcast()
}

// call answers a unary call.
func (st *stream) call(message *buffer) {
	m := st.method
	decode := func(into any) error {
		err := st.conn.server.opts.Codec.Unmarshal(message.bytes, into)
		message.release()
		if err != nil {
			return status.Errorf(codes.Internal, "grpc: error unmarshalling request: %v", err)
		}
		return nil
	}
	answer, err := m.unary.Handler(m.impl, st, decode, nil)
	if err != nil {
		st.finish(statusOf(err))
		return
	}
	out := newBuffer()
	defer out.release()
	if err := st.encode(out, answer); err != nil {
		st.finish(statusOf(err))
		return
	}
	st.answer(out.bytes)
}

// encode appends a message, with its head, or a batch.
func (st *stream) encode(out *buffer, message any) error {
	batch, ok := message.(*Batch)
	if !ok {
		return st.encodeOne(out, message)
	}
	for _, m := range *batch {
		if err := st.encodeOne(out, m); err != nil {
			return err
		}
	}
	return nil
}

func (st *stream) encodeOne(out *buffer, message any) error {
	first := len(out.bytes)
	b := append(out.bytes, 0, 0, 0, 0, 0)
	b, err := st.conn.server.opts.Codec.Append(b, message)
	if err != nil {
		return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	size := uint32(len(b) - first - messageHeadBytes)
	binary.BigEndian.PutUint32(b[first+1:], size)
	out.bytes = b
	return nil
}

// answer sends the one message of a unary call, and ends it well.
func (st *stream) answer(message []byte) {
	c := st.conn
	c.mu.Lock()
	c.headLocked(st)
	if err := c.sendLocked(st, message); err != nil {
		c.mu.Unlock()
		st.finish(statusOf(err))
		return
	}
	c.endLocked(st, nil)
	c.mu.Unlock()
	st.over()
}

// finish ends the stream with a status.
func (st *stream) finish(s *status.Status) {
	c := st.conn
	c.mu.Lock()
	c.endLocked(st, s)
	c.mu.Unlock()
	st.over()
}

// over follows the end of a stream.
func (st *stream) over() {
	c := st.conn
	st.end(context.Canceled)
	c.flushSoon()
	if c.finishing() {
		c.ended()
	}
}

func (c *conn) finishing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.final
}

// headLocked sends the answer's header, unless it was. c.mu is held.
func (c *conn) headLocked(st *stream) {
	if st.headed || c.streams[st.id] != st {
		return
	}
	st.headed = true
	block := okHeaders
	if len(st.header) > 0 {
		block = appendMetadata(append([]byte(nil), block...), st.header)
	}
	c.out.header(st.id, block, false)
}

// endLocked sends what a stream ends with and forgets it. c.mu is held.
func (c *conn) endLocked(st *stream, s *status.Status) {
	if c.streams[st.id] != st {
		return // the client has gone
	}
	delete(c.streams, st.id)
	block := okTrailers
	if s.Code() != codes.OK || len(st.trailer) > 0 || !st.headed {
		block = nil
		if !st.headed {
			block = appendMetadata(append(block, okHeaders...), st.header)
		}
		block = appendMetadata(appendTrailers(block, s), st.trailer)
	}
	c.out.header(st.id, block, true)
	if !st.input.ended.Load() {
		c.out.reset(st.id, http2.ErrCodeNo)
	}
}

// sendLocked sends a message as the windows allow, and waits where they don't. c.mu
// is held, but not while it waits. It returns an error if the stream ends meanwhile.
func (c *conn) sendLocked(st *stream, message []byte) error {
	for len(message) > 0 {
		for c.streams[st.id] == st && (c.out.window <= 0 || st.window <= 0 ||
			len(c.out.buf) >= outBytesMax) {
			if len(c.out.buf) > 0 && !c.out.flushing {
				c.flushLocked()
				continue
			}
			if err := st.Err(); err != nil {
				return err
			}
			_ = st.Done() // which has the deadline wake this one
			c.out.room.Wait()
		}
		if c.streams[st.id] != st {
			return context.Canceled
		}
		n := min(int64(len(message)), int64(c.out.frameBytesMax), c.out.window, st.window)
		c.out.data(st.id, message[:n])
		c.out.window -= n
		st.window -= n
		message = message[n:]
	}
	return nil
}
