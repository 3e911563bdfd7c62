package portmux

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
)

// preface is what a client of HTTP/2 without TLS says first (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// readHead reads from r until it is clear whether it begins with the preface,
// never further. It returns what it read. What ends before that is no preface.
func readHead(r io.Reader) (head []byte, isHTTP2 bool, err error) {
	head = make([]byte, 0, len(preface))
	for len(head) < len(preface) {
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		switch {
		case !strings.HasPrefix(preface, string(head)):
			return head, false, nil
		case err != nil && len(head) < len(preface):
			return head, false, err
		}
	}
	return head, true, nil
}

// replayed is a connection of which head was read already. Like that of the
// connection, its Read is for one goroutine at a time.
type replayed struct {
	net.Conn
	head []byte
	// gone, unless it is nil, is called when the connection is closed, once.
	gone func()
	once sync.Once
}

// Close implements net.Conn.
func (c *replayed) Close() error {
	err := c.Conn.Close()
	if c.gone != nil {
		c.once.Do(c.gone)
	}
	return err
}

// Read implements io.Reader.
func (c *replayed) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// CloseWrite closes one side of the connection, if it can: servers do so to let
// clients read to the end.
func (c *replayed) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
