package portmux

import (
	"io"
	"net"
	"testing"
)

// A server may close its side alone, and go on to read.
func TestCloseWrite(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := New(listener, 0)
	ended := make(chan error, 1)
	go func() { ended <- m.Serve() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, _ = io.WriteString(client, "GET")
	server, err := m.HTTP1().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	half, ok := server.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		t.Fatal("one side of a connection can't be closed")
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %v", err)
	}
	_, _ = io.WriteString(client, "!")
	got := make([]byte, 4)
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "GET!" {
		t.Errorf("the server reads %q, %v", got, err)
	}
	_ = m.Close()
	<-ended
}
