// Package portmux lets gRPC and HTTP/1 share a port without TLS.
//
// It owns a listener and looks at the first bytes of what connects there.
// HTTP/2 begins with a preface that is no HTTP/1 request (RFC 9113, 3.4), so at
// most 24 bytes decide, and most often the first:
//
//		              ┌ the preface ──→ Mux.HTTP2 → grpc.Server
//		listener → Mux┤
//		              └ all else ─────→ Mux.HTTP1 → http.Server
//
//	 1. Bytes that were looked at are read again by the server, before all others;
//	    after them a connection's reads and writes are the connection's own.
//	 2. A connection that does not decide itself in time is closed. One that is not
//	    accepted by its server waits. How many do either is bounded, those above are
//	    closed.
//	 3. Close closes what was not accepted.
//
// Any package may import it; it knows no protocol but these first bytes.
package portmux

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Bounds of what waits.
const (
	// headTimeout is how long a connection may take to say what it speaks.
	headTimeout = 10 * time.Second
	// waitingMax is how many connections may not have said it yet, or not be
	// accepted by their server.
	waitingMax = 8192
)

// Mux shares one listener. Use New.
type Mux struct {
	root net.Listener
	// http2 and http1 are what it is shared by.
	http2, http1 *side
	// deciding are the goroutines that wait for first bytes.
	deciding sync.WaitGroup

	mu sync.Mutex
	// waiting are the connections that are not accepted; true are those of which
	// it is not decided by whom.
	waiting map[net.Conn]bool
	closed  bool
}

// New shares listener, which it owns from then on. Nothing is accepted before
// Serve.
func New(listener net.Listener) *Mux {
	return &Mux{
		root:    listener,
		http2:   newSide(listener.Addr()),
		http1:   newSide(listener.Addr()),
		waiting: map[net.Conn]bool{},
	}
}

// HTTP2 is the listener of the connections that begin with HTTP/2's preface.
// Closing it has such connections closed and leaves the others.
func (m *Mux) HTTP2() net.Listener { return m.http2 }

// HTTP1 is the listener of all other connections. Closing it has them closed and
// leaves those of HTTP/2.
func (m *Mux) HTTP1() net.Listener { return m.http1 }

// Serve accepts connections until Close, and then returns net.ErrClosed, or
// until accepting fails for good. It is called once. When it returns, both sides
// are closed and nothing waits.
func (m *Mux) Serve() error {
	defer m.deciding.Wait()
	defer m.Close()
	var pause backoff
	for {
		conn, err := m.root.Accept()
		switch {
		case err == nil:
			pause.reset()
			m.receive(conn)
		case m.isClosed():
			return net.ErrClosed
		case !isTemporary(err):
			return err
		default:
			pause.wait()
		}
	}
}

// Close stops listening. Connections that were accepted go on; the others are
// closed. It does not wait for Serve.
func (m *Mux) Close() error {
	m.mu.Lock()
	wasClosed := m.closed
	m.closed = true
	var undecided []net.Conn
	for conn, isUndecided := range m.waiting {
		if isUndecided {
			undecided = append(undecided, conn)
		}
	}
	m.mu.Unlock()
	if wasClosed {
		return nil
	}
	err := errors.Join(m.root.Close(), m.http2.Close(), m.http1.Close())
	for _, conn := range undecided {
		// Its time may just have been up.
		_ = conn.Close()
	}
	return err
}

func (m *Mux) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// receive has a goroutine decide whose conn is.
func (m *Mux) receive(conn net.Conn) {
	if !m.enter(conn) {
		_ = conn.Close()
		return
	}
	m.deciding.Go(func() {
		defer m.leave(conn)
		to, whole, err := m.decide(conn)
		if err != nil || !m.decided(conn) {
			_ = conn.Close()
			return
		}
		to.deliver(whole)
	})
}

// enter notes that conn waits, unless there is no room for it.
func (m *Mux) enter(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.waiting) >= waitingMax {
		return false
	}
	m.waiting[conn] = true
	return true
}

// decided notes that it is known whose conn is, unless Close came first.
func (m *Mux) decided(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[conn] = false
	return !m.closed
}

// leave notes that conn was accepted, or closed.
func (m *Mux) leave(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, conn)
}

// decide reads as much of conn as tells whose it is, and returns it as it was
// before.
func (m *Mux) decide(conn net.Conn) (*side, net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(headTimeout)); err != nil {
		return nil, nil, err
	}
	head, isHTTP2, err := readHead(conn)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	if isHTTP2 {
		return m.http2, &replayed{conn, head}, nil
	}
	return m.http1, &replayed{conn, head}, nil
}

// isTemporary tells that accepting may work again, once files are closed, say.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// backoff is the pause before accepting again.
type backoff time.Duration

const (
	backoffFirst = 5 * time.Millisecond
	backoffMax   = time.Second
)

func (b *backoff) reset() { *b = 0 }

func (b *backoff) wait() {
	*b = min(max(backoff(backoffFirst), *b*2), backoff(backoffMax))
	time.Sleep(time.Duration(*b))
}
