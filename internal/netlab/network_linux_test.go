package netlab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

// echoVariable makes a process of the test binary a server of echoes at an address.
const echoVariable = "NETLAB_ECHO"

// notAllowed is why there can be no network here.
var notAllowed error

func TestMain(m *testing.M) {
	if addr := os.Getenv(echoVariable); addr != "" {
		fmt.Fprintln(os.Stderr, echo(addr))
		os.Exit(1)
	}
	inside, code, err := Isolated()
	if err == nil && !inside {
		os.Exit(code)
	}
	notAllowed = err
	os.Exit(m.Run())
}

// echo sends every connection what comes from it.
func echo(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(conn, conn) }()
	}
}

// pair is this process on a network with a host that echoes.
type pair struct {
	*Network
	self, server *Host
}

func newPair(t *testing.T) pair {
	t.Helper()
	if notAllowed != nil {
		t.Skip(notAllowed)
	}
	n := New(netip.MustParsePrefix("10.9.0.0/16"), 1)
	self, err := n.AddSelf("self", 1000)
	if err != nil {
		t.Fatal(err)
	}
	server, err := n.Add("server", 1)
	if err != nil {
		t.Fatal(err)
	}
	n.Run()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), echoVariable+"="+server.Addr.String()+":7")
	if err := server.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return pair{n, self, server}
}

// dial connects, as soon as the server is there.
func (p pair) dial(t *testing.T) net.Conn {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		conn, err := net.DialTimeout("tcp", p.server.Addr.String()+":7", time.Second)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
	}
	t.Fatal("the server can't be reached")
	return nil
}

// ask sends a byte and waits for its echo.
func ask(t *testing.T, conn net.Conn, patience time.Duration) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Write([]byte{1})
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	return time.Since(begin), err
}

// TestLinks: a link that is cut in either direction lets no echo through, one that
// delays makes it late, and what was wrong is over once it is put right.
func TestLinks(t *testing.T) {
	p := newPair(t)
	conn := p.dial(t)
	if _, err := ask(t, conn, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	const delay = 60 * time.Millisecond
	p.Set(p.server, p.self, Condition{Delay: delay})
	if took, err := ask(t, conn, 5*time.Second); err != nil || took < delay {
		t.Errorf("an echo delayed by %v took %v, %v", delay, took, err)
	}
	p.Set(p.server, p.self, Condition{})
	for _, link := range [][2]*Host{{p.self, p.server}, {p.server, p.self}} {
		conn := p.dial(t)
		p.Set(link[0], link[1], Condition{Cut: true})
		if _, err := ask(t, conn, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("from %s to %s: %v", link[0].Name, link[1].Name, err)
		}
		p.Set(link[0], link[1], Condition{})
		if _, err := ask(t, conn, 5*time.Second); err != nil {
			t.Errorf("after a cut from %s to %s: %v", link[0].Name, link[1].Name, err)
		}
	}
	if got := p.Traffic(); got.Carried == 0 || got.Lost < 2 || got.Late == 0 {
		t.Errorf("traffic is %+v", got)
	}
}

// TestOwnNetwork: nothing but the network of these hosts can be reached.
func TestOwnNetwork(t *testing.T) {
	newPair(t)
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 2 {
		t.Errorf("interfaces %v, %v", interfaces, err)
	}
}

func TestNoSuchHost(t *testing.T) {
	n := New(netip.MustParsePrefix("10.9.0.0/30"), 1)
	if _, err := n.Add("far", 4); err == nil {
		t.Error("a host beyond the network's addresses is made")
	}
}
