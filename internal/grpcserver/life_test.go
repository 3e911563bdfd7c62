package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/miruvor/miruvor/internal/grpcserver"
)

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// servePipes serves e in a bubble, and returns what dials and what to stop.
func servePipes(
	t *testing.T, e *echo, opts grpcserver.Options,
) (*grpcserver.Server, func() net.Conn) {
	s := grpcserver.New(opts)
	s.RegisterService(&echoDesc, e)
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	serveOn(t, s, l)
	return s, func() net.Conn {
		client, server := net.Pipe()
		l.conns <- server
		return client
	}
}

// A client that is silent is pinged, and given up if it does not answer.
func TestKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := servePipes(t, &echo{}, grpcserver.Options{
			Keepalive: grpcserver.Keepalive{Interval: time.Hour, Timeout: time.Minute},
		})
		r := rawFrames(t, dial())
		began, greeted := time.Now(), make(chan struct{})
		go func() {
			_, _ = io.WriteString(r.conn, http2.ClientPreface)
			_ = r.WriteSettings()
			close(greeted)
		}()
		pings := 0
		for {
			f, err := r.ReadFrame()
			if err != nil {
				break
			}
			if f, ok := f.(*http2.PingFrame); ok {
				<-greeted
				if pings++; pings <= 3 {
					r.must(r.WritePing(true, f.Data))
				}
			}
		}
		if took := time.Since(began); pings != 4 || took < 4*time.Hour || took > 9*time.Hour {
			t.Errorf("given up after %v and %d pings", took, pings)
		}
	})
}

// A client that has stopped to read is given up, too: the ping must not wait for it.
func TestKeepaliveOfWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		e := &echo{bidi: func(stream grpc.ServerStream) error {
			<-stream.Context().Done()
			close(ended)
			return nil
		}}
		_, dial := servePipes(t, e, grpcserver.Options{
			Keepalive: grpcserver.Keepalive{Interval: time.Hour, Timeout: time.Minute},
		})
		r := rawFrames(t, dial())
		go r.greet()
		time.Sleep(time.Second)
		r.headers(1, true, chatFields)
		select {
		case <-ended:
		case <-time.After(3 * time.Hour):
			t.Error("a client that reads nothing is kept")
		}
	})
}

// Who says nothing, or not enough, is disconnected soon.
func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := servePipes(t, &echo{}, grpcserver.Options{})
		nc := dial()
		_, _ = io.WriteString(nc, http2.ClientPreface)
		began := time.Now()
		_, _ = io.Copy(io.Discard, nc)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("disconnected after %v", took)
		}
	})
}

// A server that stops well tells clients so before it refuses anything.
func TestTwoPhases(t *testing.T) {
	goOn := make(chan struct{})
	e := &echo{unary: func(_ context.Context, in *wrapperspb.BytesValue) (
		*wrapperspb.BytesValue, error,
	) {
		<-goOn
		return in, nil
	}}
	s := grpcserver.New(grpcserver.Options{})
	s.RegisterService(&echoDesc, e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	r := dialRaw(t, l.Addr().String())
	r.call(1)
	var stopping sync.WaitGroup
	stopping.Go(s.GracefulStop)
	defer stopping.Wait()
	warning := r.read().(*http2.GoAwayFrame)
	if warning.LastStreamID != 1<<31-1 || warning.ErrCode != http2.ErrCodeNo {
		t.Errorf("the warning is %v", warning)
	}
	ping := r.read().(*http2.PingFrame)
	r.call(3) // on its way meanwhile
	r.must(r.WritePing(true, ping.Data))
	final := r.read().(*http2.GoAwayFrame)
	if final.LastStreamID != 3 || final.ErrCode != http2.ErrCodeNo {
		t.Errorf("the end is %v", final)
	}
	r.call(5)
	if _, got := r.answer(5); got[0] != "reset: REFUSED_STREAM" {
		t.Errorf("a call after it: %q", got)
	}
	close(goOn)
	ended := 0
	for {
		f, err := r.ReadFrame()
		if errors.Is(err, io.EOF) {
			break
		}
		r.must(err)
		if f, ok := f.(*http2.HeadersFrame); ok && f.StreamEnded() {
			ended++
		}
	}
	_ = r.conn.Close()
	if ended != 2 {
		t.Errorf("%d calls were answered of 2", ended)
	}
}

// A client that does not answer is waited for, but not for ever; nor is one that
// goes on with a stream after it was told: its calls are finished first.
func TestGracefulStopOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := servePipes(t, &echo{}, grpcserver.Options{})
		for range 3 {
			nc := dial()
			_, _ = io.WriteString(nc, http2.ClientPreface) // and reads nothing
		}
		began := time.Now()
		s.GracefulStop()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What ends a draining connection may be a reset by this side, too.
func TestDrainEndsWithAReset(t *testing.T) {
	s := grpcserver.New(grpcserver.Options{})
	s.RegisterService(&echoDesc, &echo{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	r := dialRaw(t, l.Addr().String())
	r.headers(1, false, callFields) // whose message never comes
	var stopping sync.WaitGroup
	stopping.Go(s.GracefulStop)
	for r.read().Header().Type != http2.FramePing {
	}
	r.must(r.WritePing(true, [8]byte{'d', 'r', 'a', 'i', 'n'}))
	_ = r.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4)) // a breach
	if code, _ := r.goodbye(); code != http2.ErrCodeNo {
		t.Error(code)
	}
	_ = r.conn.Close()
	stopping.Wait()
}

// The last answer of a connection that drains must arrive, whoever writes.
func TestLastAnswersArrive(t *testing.T) {
	for range 30 {
		s := grpcserver.New(grpcserver.Options{})
		s.RegisterService(&echoDesc, &echo{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		serveOn(t, s, l)
		r := dialRaw(t, l.Addr().String())
		const calls = 50
		var stopping sync.WaitGroup
		for id := uint32(1); id < 2*calls; id += 2 {
			r.call(id)
		}
		stopping.Go(s.GracefulStop)
		ended, lastID := 0, uint32(0)
		for {
			f, err := r.ReadFrame()
			if errors.Is(err, io.EOF) {
				break
			}
			r.must(err)
			switch f := f.(type) {
			case *http2.PingFrame:
				r.must(r.WritePing(true, f.Data))
			case *http2.GoAwayFrame:
				lastID = f.LastStreamID
			case *http2.HeadersFrame:
				if f.StreamEnded() {
					ended++
				}
			}
		}
		if uint32(ended) != (lastID+1)/2 || ended != calls {
			t.Fatalf("%d calls were answered, the last id is %d", ended, lastID)
		}
		_ = r.conn.Close()
		stopping.Wait()
	}
}

// A context of a call must end one derived from it, and a deadline stays its reason.
func TestContexts(t *testing.T) {
	e := &echo{bidi: func(stream grpc.ServerStream) error {
		ctx := stream.Context()
		before := runtime.NumGoroutine()
		var more []context.Context
		for range 10 {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			more = append(more, ctx)
		}
		if n := runtime.NumGoroutine(); n > before+5 {
			t.Errorf("%d goroutines became %d", before, n)
		}
		for _, ctx := range more {
			<-ctx.Done()
		}
		if first, second := ctx.Err(), ctx.Err(); first == nil || !errors.Is(first, second) {
			t.Errorf("ended with %v, then with %v", first, second)
		}
		return ctx.Err()
	}}
	_, cc := start(t, e, grpcserver.Options{})
	if _, err := call(t.Context(), cc, nil); err != nil { // so it is connected
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_ = chat(t, ctx, cc).RecvMsg(new(wrapperspb.BytesValue))
	_ = cc.Close()
}

// Nothing is left of a server that was stopped.
func TestNothingIsLeft(t *testing.T) {
	for _, stop := range []func(*grpcserver.Server){
		(*grpcserver.Server).Stop, (*grpcserver.Server).GracefulStop,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, dial := servePipes(t, &echo{}, grpcserver.Options{})
			for range 3 {
				r := rawFrames(t, dial())
				go func() { _, _ = io.Copy(io.Discard, r.conn) }()
				_, _ = io.WriteString(r.conn, http2.ClientPreface)
				_ = r.WriteSettings()
				r.call(1)
				r.headers(3, true, chatFields)
			}
			stop(s)
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			for _, g := range slices.Collect(strings.SplitSeq(string(stacks), "\n\n")) {
				if strings.Contains(g, "grpcserver.(*") {
					t.Errorf("left: %s", g)
				}
			}
		})
	}
}
