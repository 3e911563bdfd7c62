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
//	 2. A connection that does not decide itself in time is closed, and before that if
//	    many others come that don't either: the one that has been silent longest makes
//	    room. So a flood of them keeps nobody out who speaks.
//	 3. How many connections there are is bounded. One more is told so, in its own
//	    protocol, and closed. It counts from its first bytes until the server, or Close,
//	    closes it.
//	 4. Close closes what was not accepted.
//
// Any package may import it; it knows no protocol but these first bytes.
package portmux

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"time"
)

// Bounds of who says nothing.
const (
	// headTimeout is how long a connection may take to say what it speaks.
	headTimeout = 10 * time.Second
	// silentMax is how many may not have said it yet.
	silentMax = 1024
)

// Mux shares one listener. Use New.
type Mux struct {
	root net.Listener
	// http2 and http1 are what it is shared by.
	http2, http1 *side
	// deciding are the goroutines that wait for first bytes.
	deciding sync.WaitGroup
	connsMax int

	mu sync.Mutex
	// silent are the connections, a net.Conn each, of which it is not decided whose
	// they are, in the order of their arrival.
	silent list.List
	// conns counts those that are decided and not closed; refusing those that are
	// being told that there are too many.
	conns, refusing int
	closed          bool
}

// New shares listener, which it owns from then on, between connsMax connections; 0 is
// ConnsMaxDefault. Nothing is accepted before Serve.
func New(listener net.Listener, connsMax int) *Mux {
	if connsMax == 0 {
		connsMax = ConnsMaxDefault()
	}
	return &Mux{
		root:     listener,
		http2:    newSide(listener.Addr()),
		http1:    newSide(listener.Addr()),
		connsMax: connsMax,
	}
}

// connsMost is how many connections there are at most by default.
const connsMost = 8192

// ConnsMaxDefault is how many connections there are unless somebody wants it otherwise:
// half of the files that the process may have open, and 8192 at most.
func ConnsMaxDefault() int {
	if files := filesMax(); files > 0 {
		return int(min(files/2, connsMost))
	}
	return connsMost
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
	var silent []net.Conn
	for e := m.silent.Front(); e != nil; e = e.Next() {
		silent = append(silent, e.Value.(net.Conn))
	}
	m.mu.Unlock()
	if wasClosed {
		return nil
	}
	err := errors.Join(m.root.Close(), m.http2.Close(), m.http1.Close())
	for _, conn := range silent {
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
	place := m.enter(conn)
	if place == nil {
		_ = conn.Close()
		return
	}
	m.deciding.Go(func() {
		to, whole, err := m.decide(conn)
		switch m.decided(place, err) {
		case welcome:
			whole.gone = m.left
			to.deliver(whole)
		case tooMany:
			refuse(whole, to == m.http2)
			m.refused()
		default:
			_ = conn.Close()
		}
	})
}

// enter notes that conn has said nothing yet. If there are many like that, the one that
// has been silent longest is closed. It returns nil after Close.
func (m *Mux) enter(conn net.Conn) *list.Element {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	if m.silent.Len() >= silentMax {
		oldest := m.silent.Remove(m.silent.Front()).(net.Conn)
		_ = oldest.Close() // which ends its goroutine
	}
	return m.silent.PushBack(conn)
}

// verdict is what becomes of a connection once it is decided whose it is.
type verdict int

const (
	closing verdict = iota
	welcome
	tooMany
)

// refusingMax is how many are told at a time that there are too many.
const refusingMax = 256

// decided ends a connection's silence.
func (m *Mux) decided(place *list.Element, err error) verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent.Remove(place) // unless it made room
	switch {
	case err != nil || m.closed:
		return closing
	case m.conns < m.connsMax:
		m.conns++
		return welcome
	case m.refusing < refusingMax:
		m.refusing++
		return tooMany
	}
	return closing
}

// left notes that a connection was closed.
func (m *Mux) left() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns--
}

func (m *Mux) refused() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusing--
}

// decide reads as much of conn as tells whose it is, and returns it as it was
// before.
func (m *Mux) decide(conn net.Conn) (*side, *replayed, error) {
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
		return m.http2, &replayed{Conn: conn, head: head}, nil
	}
	return m.http1, &replayed{Conn: conn, head: head}, nil
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
