package bench

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scripted is a connection on which a server's bytes come whatever is sent.
type scripted struct {
	net.Conn
	io.Reader
}

func (s *scripted) Read(b []byte) (int, error)      { return s.Reader.Read(b) }
func (s *scripted) Write(b []byte) (int, error)     { return len(b), nil }
func (s *scripted) SetDeadline(time.Time) error     { return nil }
func (s *scripted) Close() error                    { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// FuzzAnswer: what is taken for an answer is one for net/http too, of the same status,
// and ends where that ends.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP",
		"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nConnection: close\r\n\r\nno",
		"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		wire := bytes.NewReader(said)
		c := &conn{net: &scripted{Reader: wire}, in: bufio.NewReader(wire)}
		got, err := c.roundTrip([]byte("GET / HTTP/1.1\r\n\r\n"))
		if len(got.body) > errorBodyMax {
			t.Fatalf("%d bytes are kept of a body", len(got.body))
		}
		if err != nil || !isPlain(said) {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(said))
		want, err := http.ReadResponse(theirs, &http.Request{Method: http.MethodGet})
		if err != nil {
			return // net/http looks at more than a benchmark has to
		}
		_, err = io.Copy(io.Discard, want.Body)
		if err != nil || want.StatusCode != got.status {
			t.Fatalf("%q is %+v, net/http says %d, %v", said, got, want.StatusCode, err)
		}
		ours, _ := io.ReadAll(c.in)
		rest, _ := io.ReadAll(theirs)
		if got.status >= 200 && !bytes.Equal(ours, rest) {
			t.Fatalf("%q: %q is left, net/http leaves %q", said, ours, rest)
		}
	})
}

// isPlain reports whether each header that matters is there once at most, and has no
// trailers behind it: the servers that are measured send no other.
func isPlain(said []byte) bool {
	text := strings.ToLower(string(said))
	return strings.Count(text, "content-length") <= 1 &&
		strings.Count(text, "transfer-encoding") <= 1 &&
		!strings.Contains(text, "trailer")
}
