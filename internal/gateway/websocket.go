package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// websockets lets calls be made over websockets: each message of the client is a
// line of a request's body, and each line of the answer a message. All else goes
// to next.
type websockets struct {
	next            http.Handler
	messageBytesMax int64
	// open ends with close, and all sockets with it. carrying are their handlers,
	// which an http.Server does not wait for; mu is held to add one, and to close.
	mu       sync.Mutex
	open     context.Context
	shut     context.CancelFunc
	carrying sync.WaitGroup
}

func newWebsockets(next http.Handler, messageBytesMax int) *websockets {
	s := &websockets{next: next, messageBytesMax: int64(messageBytesMax)}
	s.open, s.shut = context.WithCancel(context.Background())
	return s
}

// close ends all sockets and waits until they have ended. There are no more after it.
func (s *websockets) close() {
	s.mu.Lock()
	s.shut()
	s.mu.Unlock()
	s.carrying.Wait()
}

// enter notes that a handler begins. It reports false after close.
func (s *websockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Err() != nil {
		return false
	}
	s.carrying.Add(1)
	return true
}

// ServeHTTP implements http.Handler. Browsers are served pages of this host only.
func (s *websockets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		s.next.ServeHTTP(w, r)
		return
	}
	if !s.enter() {
		http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
		return
	}
	defer s.carrying.Done()
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	conn.SetReadLimit(s.messageBytesMax)
	hungUp := context.AfterFunc(s.open, func() { _ = conn.Close() })
	defer hungUp()
	s.carry(conn, r)
}

// carry makes the call and closes the connection.
func (s *websockets) carry(conn *websocket.Conn, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	body, messages := io.Pipe()
	call := r.Clone(ctx)
	// What opens a websocket is a GET, and all services are called by POST.
	call.Method, call.Body, call.ContentLength = http.MethodPost, body, -1
	var reading sync.WaitGroup
	reading.Go(func() {
		defer cancel()
		readMessages(conn, messages)
	})
	answer := &socketAnswer{conn: conn, header: http.Header{}}
	s.next.ServeHTTP(answer, call)
	answer.finish()
	_ = body.Close()
	_ = conn.Close()
	reading.Wait()
}

// readMessages writes messages as lines, until there are no more or nobody reads
// them.
func readMessages(conn *websocket.Conn, to *io.PipeWriter) {
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(append(message, '\n')); err != nil {
			return
		}
	}
}

// socketAnswer is an answer of which each line is sent as a message. Its status
// and its header are lost.
type socketAnswer struct {
	conn   *websocket.Conn
	header http.Header
	line   []byte
}

// Header implements http.ResponseWriter.
func (a *socketAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *socketAnswer) WriteHeader(int) {}

// Flush implements http.Flusher: lines are sent once they are whole.
func (a *socketAnswer) Flush() {}

// Write implements http.ResponseWriter.
func (a *socketAnswer) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		a.line, b = append(a.line, line...), rest
		if !whole {
			break
		}
		if err := a.send(); err != nil {
			return 0, err
		}
	}
	return written, nil
}

// finish sends what is no whole line.
func (a *socketAnswer) finish() { _ = a.send() }

func (a *socketAnswer) send() error {
	line := a.line
	a.line = a.line[:0]
	if len(line) == 0 {
		return nil
	}
	return a.conn.WriteMessage(websocket.TextMessage, line)
}
