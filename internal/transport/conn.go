package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readBufferBytes = 64 << 10
	// writeStepBytes is how much has to be taken within Timing.Dead.
	writeStepBytes = 128 << 10
)

var (
	errClosed  = errors.New("connection closed by this node")
	errHungUp  = errors.New("connection closed by the peer")
	errSilence = errors.New("peer is silent")
	errTaken   = errors.New("peer has taken all that was sent")
)

// conn is a connection that carries frames and shows that it is alive. One
// goroutine reads; any may write. It is used up by the first failure.
type conn struct {
	raw    net.Conn
	in     *bufio.Reader
	timing Timing
	// patient is set where the peer may take nothing for long, because it
	// is busy and not dead: what it sends shows that it lives.
	patient  bool
	frameMax int
	counters *counters
	// detour is nil on a connection that leads straight to the peer.
	detour *detour
	// greeted is when the hello of the peer came, if that dialled.
	greeted time.Time
	// turn is held by whoever writes.
	turn chan struct{}
	// spoke is set when something was written since keepAlive looked last.
	spoke atomic.Bool

	once  sync.Once
	done  chan struct{} // closed by fail
	cause error         // why; read it after done
}

func newConn(raw net.Conn, o *Options) *conn {
	c := &conn{
		raw: raw, timing: o.Timing, frameMax: o.Limits.FrameBytesMax,
		counters: new(counters), turn: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.in = bufio.NewReaderSize(mortal{c}, readBufferBytes)
	return c
}

// mortal reads from a connection whose peer is dead when it is silent.
type mortal struct{ *conn }

func (m mortal) Read(p []byte) (int, error) {
	if err := m.raw.SetReadDeadline(time.Now().Add(m.timing.Dead)); err != nil {
		return 0, err
	}
	return m.raw.Read(p)
}

// fail closes the connection; the first cause is kept.
func (c *conn) fail(cause error) {
	c.once.Do(func() {
		c.cause = plain(cause)
		close(c.done)
		_ = c.raw.Close() // nothing is to be saved of a failed connection
	})
}

func (c *conn) close() { c.fail(errClosed) }

// failure fails the connection with err and returns why it failed first.
func (c *conn) failure(err error) error {
	c.fail(err)
	<-c.done
	return c.cause
}

// plain takes addresses and ports out of an error, so that the same failure
// reads the same twice.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	switch {
	case errors.Is(err, io.EOF):
		return errHungUp
	case isTimeout(err):
		return errSilence
	}
	return err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// write sends whole frames. After an error the peer has not got the last of
// them whole, and will not.
func (c *conn) write(frame []byte) error {
	select {
	case c.turn <- struct{}{}:
	case <-c.done:
		return c.cause
	}
	defer func() { <-c.turn }()
	return c.writeInTurn(frame)
}

func (c *conn) writeInTurn(frame []byte) error {
	c.spoke.Store(true)
	for rest := frame; len(rest) > 0; {
		if !c.patient {
			if err := c.raw.SetWriteDeadline(time.Now().Add(c.timing.Dead)); err != nil {
				return c.failure(err)
			}
		}
		n, err := c.raw.Write(rest[:min(len(rest), writeStepBytes)])
		if err != nil {
			return c.failure(err)
		}
		rest = rest[n:]
	}
	c.counters.framesSent.Add(1)
	c.counters.bytesSent.Add(uint64(len(frame)))
	return nil
}

// read returns the next frame that is more than a sign of life. The caller
// owns the payload. After an error nothing more can be read; if it is a
// refusal, of what is no frame, or errHungUp, the peer can still be told.
func (c *conn) read() (frameKind, []byte, error) {
	for {
		kind, payload, err := readFrame(c.in, c.frameMax)
		if errors.Is(err, errFrame) {
			return 0, nil, refuse("%v", err)
		}
		if errors.Is(err, io.EOF) {
			return 0, nil, errHungUp
		}
		if err != nil {
			return 0, nil, c.failure(err)
		}
		c.counters.framesReceived.Add(1)
		c.counters.bytesReceived.Add(uint64(frameHeaderBytes + len(payload)))
		if kind != frameIdle {
			return kind, payload, nil
		}
	}
}

// keepAlive sends an empty frame whenever nothing was written for a while,
// until the connection fails.
func (c *conn) keepAlive() {
	tick := time.NewTicker(c.timing.Idle)
	defer tick.Stop()
	idle := newFrame(frameIdle, "")
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if c.spoke.Swap(false) {
			continue
		}
		select {
		case c.turn <- struct{}{}:
			_ = c.writeInTurn(idle) // a failure closes done
			c.spoke.Store(false)
			<-c.turn
		default: // someone is writing
		}
	}
}

// bePatient lets the peer take as long as it likes to take what is written from now on.
func (c *conn) bePatient() {
	c.patient = true
	if err := c.raw.SetWriteDeadline(time.Time{}); err != nil {
		c.fail(err)
	}
}

// hangUp ends what this side sends. It keeps the turn, so that nobody writes any more.
func (c *conn) hangUp() {
	select {
	case c.turn <- struct{}{}:
	case <-c.done:
		return
	}
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.close()
	}
}

// drain hangs up and waits for the peer to say that it has taken all that was sent. It
// returns errSpent if it did.
func (c *conn) drain() error {
	defer c.within(c.timing.Straight)()
	c.hangUp()
	<-c.done
	if errors.Is(c.cause, errTaken) {
		return errSpent
	}
	return c.cause
}

// alive reports whether the connection has not failed yet.
func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}
