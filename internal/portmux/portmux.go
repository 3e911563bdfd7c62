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
//	 2. A connection that does not decide itself in time is closed. How many may be
//	    undecided is bounded, those above are closed.
//	 3. No connection outlives Close undecided.
//
// Any package may import it; it knows no protocol but these first bytes.
package portmux

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Bounds of what is undecided.
const (
	// headTimeout is how long a connection may take to say what it speaks.
	headTimeout = 10 * time.Second
	// undecidedMax is how many connections may not have said it yet.
	undecidedMax = 8192
)

// Mux shares one listener. Use New.
type Mux struct {
	root net.Listener
	// http2 and http1 are what it is shared by.
	http2, http1 *side
	// deciding are the goroutines that wait for first bytes.
	deciding sync.WaitGroup

	mu        sync.Mutex
	undecided map[net.Conn]bool
	closed    bool
}

// New shares listener, which it owns from then on. Nothing is accepted before
// Serve.
func New(listener net.Listener) *Mux {
	return &Mux{
		root:      listener,
		http2:     newSide(listener.Addr()),
		http1:     newSide(listener.Addr()),
		undecided: map[net.Conn]bool{},
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
// are closed and nothing is undecided.
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

// Close stops listening. Connections that are decided go on; the others are
// closed. It does not wait for Serve.
func (m *Mux) Close() error {
	m.mu.Lock()
	wasClosed := m.closed
	m.closed = true
	conns := m.undecided
	m.undecided = map[net.Conn]bool{}
	m.mu.Unlock()
	if wasClosed {
		return nil
	}
	errs := []error{m.root.Close(), m.http2.Close(), m.http1.Close()}
	for conn := range conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
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
		to, whole, err := m.decide(conn)
		if !m.leave(conn) {
			return
		}
		if err != nil {
			_ = conn.Close()
			return
		}
		to.deliver(whole)
	})
}

// enter notes that conn is undecided, unless there is no room for it.
func (m *Mux) enter(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.undecided) >= undecidedMax {
		return false
	}
	m.undecided[conn] = true
	return true
}

// leave reports whether conn is still the caller's: Close may have taken it.
func (m *Mux) leave(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.undecided[conn]
	delete(m.undecided, conn)
	return found
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
