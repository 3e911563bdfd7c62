package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"time"
)

// errorBodyMax is how much of an error's body is looked at.
const errorBodyMax = 4 << 10

// errMalformed is an answer that is not HTTP/1.1 as servers speak it.
var errMalformed = errors.New("malformed answer")

// conn is a connection that carries one request at a time.
type conn struct {
	net     net.Conn
	in      *bufio.Reader
	timeout time.Duration
	body    bytes.Buffer
}

func dial(ctx context.Context, target string, timeout time.Duration) (*conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	c, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	return &conn{net: c, in: bufio.NewReader(c), timeout: timeout}, nil
}

func (c *conn) close() { _ = c.net.Close() }

// answer is what a server said. body is that of an error, cut off, and valid
// until the next request.
type answer struct {
	status int
	body   []byte
	// closes tells that the connection is of no use any more.
	closes bool
}

// roundTrip sends a whole request and takes in the whole answer.
func (c *conn) roundTrip(request []byte) (answer, error) {
	if err := c.net.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return answer{}, err
	}
	if _, err := c.net.Write(request); err != nil {
		return answer{}, err
	}
	status, err := c.readStatus()
	if err != nil {
		return answer{}, err
	}
	h, err := c.readHeader()
	if err != nil {
		return answer{}, err
	}
	a := answer{status: status, closes: h.closes}
	a.body, err = c.readBody(status, h)
	return a, err
}

// readStatus reads a line like "HTTP/1.1 204 No Content".
func (c *conn) readStatus() (int, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, errMalformed
	}
	status := 0
	for _, digit := range line[9:12] {
		if digit < '0' || digit > '9' {
			return 0, errMalformed
		}
		status = status*10 + int(digit-'0')
	}
	return status, nil
}

// header is what has to be known of an answer's header.
type header struct {
	// bodyBytes is -1 if the header does not tell.
	bodyBytes int64
	chunked   bool
	closes    bool
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	connection       = []byte("connection")
)

func (c *conn) readHeader() (header, error) {
	h := header{bodyBytes: -1}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return h, errMalformed
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, contentLength):
			if h.bodyBytes, err = parseLength(value); err != nil {
				return h, err
			}
		case bytes.EqualFold(name, transferEncoding):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, connection):
			h.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
}

func parseLength(value []byte) (int64, error) {
	n := int64(0)
	for _, digit := range value {
		if digit < '0' || digit > '9' || n > 1<<40 {
			return 0, fmt.Errorf("%w: content-length %q", errMalformed, value)
		}
		n = n*10 + int64(digit-'0')
	}
	return n, nil
}

// readBody takes in the body, and keeps the beginning of an error's.
func (c *conn) readBody(status int, h header) ([]byte, error) {
	switch {
	case status == 204 || status == 304 || h.bodyBytes == 0:
		return nil, nil
	case h.chunked:
		return c.readChunks()
	case h.bodyBytes < 0:
		return nil, fmt.Errorf("%w: a body without a length", errMalformed)
	case status < 300:
		_, err := c.in.Discard(int(h.bodyBytes))
		return nil, err
	}
	whole := &io.LimitedReader{R: c.in, N: h.bodyBytes}
	body, err := c.keep(whole)
	if err == nil && whole.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

func (c *conn) readChunks() ([]byte, error) {
	body, err := c.keep(httputil.NewChunkedReader(c.in))
	if err != nil {
		return nil, err
	}
	// An empty line follows the last chunk.
	_, err = c.in.ReadSlice('\n')
	return body, err
}

// keep reads r to its end and returns the beginning.
func (c *conn) keep(r io.Reader) ([]byte, error) {
	c.body.Reset()
	if _, err := io.CopyN(&c.body, r, errorBodyMax); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	_, err := io.Copy(io.Discard, r)
	return c.body.Bytes(), err
}
