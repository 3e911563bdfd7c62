package grpcserver

import (
	"errors"
	"runtime"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// Gate decides which calls come in, when nothing was spent on them yet. It is asked on
// the goroutine that reads a connection, and must not block.
type Gate interface {
	// Admit lets a call in, by the path of its method and its metadata, which it
	// must not change, or refuses it with an error, which has to be comparable: of
	// the same one only the first is encoded. A call that is let in stands in the room,
	// if there is one, until its handler has ended.
	Admit(method string, md metadata.MD) (Room, error)
}

// Room is where calls stand that were let in: it hears how large unary ones are, and how
// all end. Its methods must not block.
type Room interface {
	// Take lets in a call's message that is so many bytes long, or refuses it with an
	// error.
	Take(bytes int) error
	// Hold is Take for what is in memory already: an answer, or a message that was
	// compressed.
	Hold(bytes int)
	// Leave ends a call, for which so many bytes were taken and held altogether.
	Leave(bytes int, code codes.Code)
}

// standing is how a call stands in a room.
type standing struct {
	room Room
	// bytes are those taken and held. The lock of the input guards them until the
	// handler begins, which alone uses them from then on.
	bytes int
}

// refusals are what a reader keeps of the calls that the gate did not let in.
type refusals struct {
	// turnedAway says that there were some since others could run.
	turnedAway bool
	// refusal is the header that tells the error refusedFor.
	refusedFor error
	refusal    []byte
}

// leftovers are streams that a connection knows no more.
type leftovers struct {
	// abandoned counts handlers that run although their streams were reset.
	abandoned int
	// orphans were open when the connection ended.
	orphans []*stream
}

// admit asks the gate about a call.
func (c *conn) admit(r *request) (Room, error) {
	gate := c.server.opts.Gate
	if gate == nil {
		return nil, nil
	}
	return gate.Admit(r.method.path, r.md)
}

// turnAway refuses a call that the gate did not let in.
func (c *conn) turnAway(id uint32, ends bool, err error) {
	in := &c.in
	if in.refusal == nil || in.refusedFor != err {
		in.refusedFor, in.refusal = err, refusalOf(statusOf(err))
	}
	in.turnedAway = true
	c.refuse(id, ends, in.refusal)
}

// yield lets others run after calls were turned away. That costs so little that a
// connection with many would be read without a pause, while others wait for a
// processor.
func (c *conn) yield() {
	if c.in.turnedAway {
		c.in.turnedAway = false
		runtime.Gosched()
	}
}

var errOver = errors.New("grpcserver: the call is over")

// take makes room for a message. The input's lock is held.
func (st *stream) take(bytes int) error {
	s := &st.standing
	if s.room == nil || st.method.unary == nil {
		return nil
	}
	if st.fate.isForgone() {
		return errOver
	}
	err := s.room.Take(bytes)
	if err == nil {
		s.bytes += bytes
	}
	return err
}

// hold counts what the call has in memory.
func (st *stream) hold(bytes int) {
	if s := &st.standing; s.room != nil && st.method.unary != nil {
		s.bytes += bytes
		s.room.Hold(bytes)
	}
}

// leave tells the room of the end. It is called once.
func (st *stream) leave(code codes.Code) {
	if s := &st.standing; s.room != nil {
		s.room.Leave(s.bytes, code)
	}
}

// leaveUnbegun is leave for a call whose handler will not run, if it has not left.
func (st *stream) leaveUnbegun(code codes.Code) {
	if !st.fate.forgo() {
		return
	}
	st.input.mu.Lock()
	defer st.input.mu.Unlock()
	st.input.stopTimer()
	st.leave(code)
}

// fate is whether a call's handler runs. It is decided once.
type fate struct{ state atomic.Int32 }

const (
	fateOpen = iota
	fateBegun
	fateForgone
)

// begin reports whether the handler is to run.
func (f *fate) begin() bool { return f.state.CompareAndSwap(fateOpen, fateBegun) }

// forgo reports whether it was decided now that it won't.
func (f *fate) forgo() bool { return f.state.CompareAndSwap(fateOpen, fateForgone) }

func (f *fate) isOpen() bool { return f.state.Load() == fateOpen }

func (f *fate) hasBegun() bool { return f.state.Load() == fateBegun }

func (f *fate) isForgone() bool { return f.state.Load() == fateForgone }

// leaveOrphans has the calls leave that had not begun when the connection ended.
func (c *conn) leaveOrphans() {
	c.mu.Lock()
	orphans := c.orphans
	c.orphans = nil
	c.mu.Unlock()
	for _, st := range orphans {
		st.leaveUnbegun(codes.Canceled)
	}
}
