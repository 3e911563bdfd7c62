package portmux

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// pipes is a listener of connections inside the process.
type pipes struct {
	conns  chan net.Conn
	fails  chan error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{
		conns: make(chan net.Conn), fails: make(chan error), closed: make(chan struct{}),
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case err := <-p.fails:
		return nil, err
	case <-p.closed:
		return nil, errors.New("closed")
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{Port: 1} }

// dial is the client's end of a new connection.
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// stage is a mux that serves.
type stage struct {
	*pipes
	mux *Mux
	// ended has what Serve returned.
	ended chan error
}

func serve(t *testing.T) *stage {
	t.Helper()
	s := &stage{pipes: newPipes(), ended: make(chan error, 1)}
	s.mux = New(s.pipes, 3)
	go func() { s.ended <- s.mux.Serve() }()
	t.Cleanup(func() { _ = s.mux.Close() })
	return s
}

// say writes each part by itself, from another goroutine, and leaves the
// connection open.
func say(conn net.Conn, parts ...string) {
	go func() {
		for _, part := range parts {
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	}()
}

func letters(s string) []string { return strings.Split(s, "") }

// TestDecides: the first bytes decide, however they are cut, and the server
// reads all of them.
func TestDecides(t *testing.T) {
	const rest = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	cases := map[string]struct {
		parts   []string
		isHTTP2 bool
	}{
		"preface":             {[]string{preface + rest}, true},
		"preface by itself":   {[]string{preface, rest}, true},
		"preface in letters":  {append(letters(preface), rest), true},
		"get":                 {[]string{"GET / HTTP/1.1\r\n\r\n"}, false},
		"put in letters":      {letters("PUT /v1/kv/a HTTP/1.1\r\n\r\n"), false},
		"begins like it":      {[]string{"PRI /x HTTP/1.1\r\n\r\n"}, false},
		"differs at the last": {[]string{preface[:23] + "\r" + rest}, false},
		"tls":                 {[]string{"\x16\x03\x01\x02\x00"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t)
				client := s.dial()
				say(client, c.parts...)
				listener := s.mux.HTTP1()
				if c.isHTTP2 {
					listener = s.mux.HTTP2()
				}
				conn, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				want := strings.Join(c.parts, "")
				got := make([]byte, len(want))
				if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
					t.Errorf("read %q and %v, want %q", got, err, want)
				}
				// The time for the first bytes is not one for all others.
				time.Sleep(2 * headTimeout)
				say(client, "more")
				if _, err := io.ReadFull(conn, got[:4]); err != nil {
					t.Error(err)
				}
				_ = client.Close()
			})
		})
	}
}

// TestSilence: who says too little for too long is cut off, and in nobody's
// way.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		silent, slow := s.dial(), s.dial()
		say(slow, preface[:5])
		begin := time.Now()
		say(s.dial(), preface)
		if _, err := s.mux.HTTP2().Accept(); err != nil {
			t.Fatal(err)
		}
		if since := time.Since(begin); since != 0 {
			t.Errorf("a connection waited %v for silent ones", since)
		}
		for _, conn := range []net.Conn{silent, slow} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("read %v, want EOF", err)
			}
		}
		if since := time.Since(begin); since != headTimeout {
			t.Errorf("cut off after %v, want %v", since, headTimeout)
		}
	})
}

// TestHangsUp: a client that leaves before it said anything costs nothing.
func TestHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		_ = s.dial().Close()
		synctest.Wait()
		if n := s.mux.silent.Len(); n != 0 {
			t.Errorf("%d connections wait", n)
		}
	})
}

// TestSilentBound: of many that say nothing, the one that has been silent longest makes
// room for the next, and who speaks is heard at once.
func TestSilentBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		var silent []net.Conn
		for range silentMax + 2 {
			silent = append(silent, s.dial())
			synctest.Wait()
		}
		for _, conn := range silent[:2] {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("read %v, want EOF", err)
			}
		}
		synctest.Wait()
		if n := s.mux.silent.Len(); n != silentMax {
			t.Errorf("%d are silent", n)
		}
		begin := time.Now()
		say(silent[2], "GET")
		if _, err := s.mux.HTTP1().Accept(); err != nil || time.Since(begin) > 0 {
			t.Errorf("accepted after %v: %v", time.Since(begin), err)
		}
	})
}

// TestConnsBound: who is one too many is told so in its protocol, and closed, until
// another leaves.
func TestConnsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		var accepted []net.Conn
		for _, head := range []string{preface, "GET", preface} {
			conn := s.dial()
			say(conn, head)
			side := s.mux.HTTP1()
			if head == preface {
				side = s.mux.HTTP2()
			}
			conn, err := side.Accept()
			if err != nil {
				t.Fatal(err)
			}
			accepted = append(accepted, conn)
		}
		for head, want := range map[string]string{
			"GET": "HTTP/1.1 503 Service Unavailable\r\n", preface: "\x00\x00\x00\x04",
		} {
			conn := s.dial()
			say(conn, head)
			heard, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(heard), want) ||
				!strings.Contains(string(heard), "too many connections") {
				t.Errorf("%q hears %q, %v", head, heard, err)
			}
		}
		for _, conn := range accepted {
			_, _ = conn.Close(), conn.Close() // it leaves once
			again := s.dial()
			say(again, "GET")
			if _, err := s.mux.HTTP1().Accept(); err != nil {
				t.Fatal(err)
			}
			if s.mux.conns != 3 {
				t.Errorf("%d connections, want 3", s.mux.conns)
			}
		}
	})
}

// TestRefusal: the answers are what clients of the protocols understand.
func TestRefusal(t *testing.T) {
	reader := bufio.NewReader(bytes.NewReader(refusal(false)))
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%+v, %v", resp, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "too many connections\n" || reader.Buffered() != 0 {
		t.Errorf("%q, %v, %d bytes follow", body, err, reader.Buffered())
	}
	framer := http2.NewFramer(io.Discard, bytes.NewReader(refusal(true)))
	if f, err := framer.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
		t.Errorf("%v, %v", f, err)
	}
	f, err := framer.ReadFrame()
	away, ok := f.(*http2.GoAwayFrame)
	if err != nil || !ok || away.LastStreamID != 0 ||
		away.ErrCode != http2.ErrCodeEnhanceYourCalm ||
		string(away.DebugData()) != "too many connections" {
		t.Errorf("%v, %v", f, err)
	}
	if f, err := framer.ReadFrame(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v follows", f, err)
	}
}

// TestConnsMaxDefault: the files of the process are not all for connections.
func TestConnsMaxDefault(t *testing.T) {
	most := ConnsMaxDefault()
	if files := filesMax(); most < 1 || most > connsMost || files > 0 && uint64(most) > files/2 {
		t.Errorf("%d connections with %d files", most, files)
	}
}

// TestClose: nothing is left, not even what was decided and not accepted.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		kept := s.dial()
		say(kept, preface)
		accepted, err := s.mux.HTTP2().Accept()
		if err != nil {
			t.Fatal(err)
		}
		undecided, unaccepted := s.dial(), s.dial()
		say(unaccepted, preface)
		synctest.Wait()
		if err := s.mux.Close(); err != nil {
			t.Error(err)
		}
		if err := <-s.ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v, want %v", err, net.ErrClosed)
		}
		for _, conn := range []net.Conn{undecided, unaccepted} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("read %v, want EOF", err)
			}
		}
		for _, listener := range []net.Listener{s.mux.HTTP1(), s.mux.HTTP2()} {
			if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
			}
		}
		say(kept, "still here")
		if n, err := accepted.Read(make([]byte, 24)); n == 0 || err != nil {
			t.Errorf("the accepted connection: %v", err)
		}
		_ = kept.Close()
	})
}

// TestOneSideCloses: a protocol that is not served any more leaves the other.
func TestOneSideCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		_ = s.mux.HTTP2().Close()
		_ = s.mux.HTTP2().Close()
		refused := s.dial()
		say(refused, preface)
		if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read %v, want EOF", err)
		}
		say(s.dial(), "GET")
		if _, err := s.mux.HTTP1().Accept(); err != nil {
			t.Error(err)
		}
	})
}

// TestAcceptFails: want of files passes, all else ends it.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		begin := time.Now()
		for range 12 {
			s.fails <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		say(s.dial(), "GET")
		if _, err := s.mux.HTTP1().Accept(); err != nil {
			t.Fatal(err)
		}
		if since := time.Since(begin); since < backoffMax || since > 6*backoffMax {
			t.Errorf("paused for %v in all", since)
		}
		broken := errors.New("broken")
		s.fails <- broken
		if err := <-s.ended; !errors.Is(err, broken) {
			t.Errorf("Serve: %v, want %v", err, broken)
		}
		if _, err := s.mux.HTTP1().Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
		}
	})
}

// FuzzHead: what was looked at is given back, and only the preface is HTTP/2, in whatever
// pieces it comes.
func FuzzHead(f *testing.F) {
	f.Add(preface)
	f.Add(preface[:20] + "x")
	f.Add("GET /")
	f.Fuzz(func(t *testing.T, text string) {
		checkHead(t, text, strings.NewReader(text))
		checkHead(t, text, iotest.OneByteReader(strings.NewReader(text)))
		checkHead(t, text, iotest.HalfReader(strings.NewReader(text)))
		checkHead(t, text, iotest.DataErrReader(strings.NewReader(text)))
	})
}

func checkHead(t *testing.T, text string, reader io.Reader) {
	t.Helper()
	head, isHTTP2, err := readHead(reader)
	if want := strings.HasPrefix(text, preface); isHTTP2 != want {
		t.Errorf("HTTP/2 is %v, want %v", isHTTP2, want)
	}
	rest, _ := io.ReadAll(reader)
	if string(head)+string(rest) != text {
		t.Errorf("%q became %q and %q", text, head, rest)
	}
	if err != nil && !strings.HasPrefix(preface, text) {
		t.Error(err)
	}
}
