package grpcserver

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// abandonedMax is how many handlers may run whose clients have given them up,
// before a connection is no longer read.
const abandonedMax = 256

// stream is a call under way. It is the call's context, too.
type stream struct {
	life
	conn     *conn
	id       uint32
	method   *method
	input    input
	fate     fate
	standing standing

	// The connection's lock guards what follows. window is what the client takes of
	// the stream, without what it takes of a new one. headed says that the answer's
	// header was sent, abandoned that the client has given up a handler.
	window            int64
	headed, abandoned bool
	// room is signalled when there may be more window, or the stream is gone; nil
	// if nobody ever waited.
	room *sync.Cond

	// header and trailer are what the handler wants to send; it alone uses them.
	header, trailer metadata.MD
}

// open begins a stream, or refuses it.
func (c *conn) open(id uint32, ends bool, r request) {
	switch {
	case r.malformed:
		c.giveUp(id, http2.ErrCodeProtocol)
		return
	case r.refusal != nil:
		c.refuse(id, ends, r.refusal)
		return
	}
	room, err := c.admit(&r)
	if err != nil {
		c.turnAway(id, ends, err)
		return
	}
	st := &stream{conn: c, id: id, method: r.method, standing: standing{room: room}}
	st.values = r.ctx
	st.input.gzipped = r.gzipped
	if r.hasTimeout {
		st.deadline = time.Now().Add(r.timeout)
		st.expired = st.wake
	}
	if !c.enter(st) {
		st.leaveUnbegun(codes.Unavailable)
		return
	}
	if r.method.stream != nil {
		st.input.arrived = make(chan struct{}, 1)
		st.fate.begin()
		c.server.running.Go(st.serveStream)
	} else {
		c.in.newest = st
		c.in.awaited = append(c.in.awaited, st)
	}
	if ends {
		st.inputEnded()
	}
}

// enter makes st one of the connection's streams, if there is room.
func (c *conn) enter(st *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final || uint64(len(c.streams)) >= uint64(c.server.opts.StreamsMax) {
		c.out.reset(st.id, http2.ErrCodeRefusedStream)
		return false
	}
	c.lastID = st.id
	c.streams[st.id] = st
	return true
}

// refuse answers a call that has no stream.
func (c *conn) refuse(id uint32, ends bool, block []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final {
		c.out.reset(id, http2.ErrCodeRefusedStream)
		return
	}
	c.lastID = id
	c.out.header(id, block, true)
	if !ends {
		c.out.reset(id, http2.ErrCodeNo)
	}
}

// call answers a unary call.
func (st *stream) call(message *buffer) {
	m := st.method
	decode := func(into any) error {
		defer message.release()
		data, err := st.plain(message)
		if err != nil {
			return err
		}
		if err := st.conn.server.opts.Codec.Unmarshal(data, into); err != nil {
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
	st.hold(len(out.bytes))
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
	err := c.sendLocked(st, message)
	st.overLocked(statusOf(err))
}

// finish ends the stream with a status.
func (st *stream) finish(s *status.Status) {
	st.conn.mu.Lock()
	st.overLocked(s)
}

// overLocked ends the stream with a status when its handler has ended. The
// connection's lock is held, and is not when it returns.
func (st *stream) overLocked(s *status.Status) {
	c := st.conn
	c.endLocked(st, s)
	if st.abandoned {
		c.abandoned--
		c.out.calm.Broadcast()
	}
	st.end(context.Canceled)
	st.leave(s.Code())
	c.flushSoonLocked()
}

// headLocked sends the answer's header, unless it was. c.mu is held.
func (c *conn) headLocked(st *stream) {
	if st.headed || c.streams[st.id] != st {
		return
	}
	st.headed = true
	block := okHeaders
	if len(st.header) > 0 {
		full := appendMetadata(append([]byte(nil), block...), st.header)
		if c.out.takes(full, st.header) {
			block = full
		}
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
		block = c.trailersOf(st, s)
	}
	c.out.header(st.id, block, true)
	if !st.input.ended.Load() {
		c.out.reset(st.id, http2.ErrCodeNo)
	}
	c.partLocked()
}

// trailersOf is what a stream ends with. If that is more than the client takes, it
// is the code alone.
func (c *conn) trailersOf(st *stream, s *status.Status) []byte {
	var head []byte
	if !st.headed {
		head = okHeaders
	}
	block := append([]byte(nil), head...)
	if !st.headed {
		block = appendMetadata(block, st.header)
	}
	block = appendMetadata(appendTrailers(block, s), st.trailer)
	if c.out.takes(block, st.header, st.trailer) {
		return block
	}
	const why = "the status is longer than the client takes"
	return appendTrailers(append([]byte(nil), head...), status.New(s.Code(), why))
}
