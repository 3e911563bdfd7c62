package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// pipes is a network in memory, on which time can be virtual.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	// spoil and spoilFar, if set, wrap the dialer's end of each connection,
	// and the other.
	spoil, spoilFar func(net.Conn) net.Conn
	// slow, if set, holds up whoever dials until it is closed.
	slow chan struct{}
}

type pipeListener struct {
	net      *pipes
	address  string
	incoming chan net.Conn
	closed   chan struct{}
}

func newPipes() *pipes { return &pipes{listeners: map[string]*pipeListener{}} }

func (p *pipes) listen(address string) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &pipeListener{p, address, make(chan net.Conn), make(chan struct{})}
	p.listeners[address] = l
	return l, nil
}

func (p *pipes) dial(ctx context.Context, address string) (net.Conn, error) {
	if p.slow != nil {
		<-p.slow
	}
	p.mu.Lock()
	l, spoil, spoilFar := p.listeners[address], p.spoil, p.spoilFar
	p.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	if spoilFar != nil {
		there = spoilFar(there)
	}
	select {
	case l.incoming <- there:
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if spoil != nil {
		return spoil(here), nil
	}
	return here, nil
}

func (p *pipes) setSpoil(spoil func(net.Conn) net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = spoil
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	if l.net.listeners[l.address] == l {
		delete(l.net.listeners, l.address)
	}
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: l.address, Net: "pipe"} }

// recorder is a Handler that notes what it is told.
type recorder struct {
	hello    func(wire.Node) error
	receive  func(kv.NodeID, []wire.Message)
	snapshot func(kv.NodeID, wire.SnapshotHeader, stream) error

	mu          sync.Mutex
	got         []wire.Message
	batches     int
	lost        []wire.Message
	unreachable int
}

func (r *recorder) Hello(peer wire.Node) error {
	if r.hello == nil {
		return nil
	}
	return r.hello(peer)
}

func (r *recorder) Receive(from kv.NodeID, msgs []wire.Message) {
	r.mu.Lock()
	r.got = append(r.got, msgs...)
	r.batches++
	r.mu.Unlock()
	if r.receive != nil {
		r.receive(from, msgs)
	}
}

func (r *recorder) Lost(_ kv.NodeID, requests []wire.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, requests...)
}

func (r *recorder) Unreachable(kv.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unreachable++
}

func (r *recorder) Snapshot(
	from kv.NodeID, h wire.SnapshotHeader, pairs stream,
) error {
	return r.snapshot(from, h, pairs)
}

func (r *recorder) gotIDs() []uint64  { return r.ids(&r.got) }
func (r *recorder) lostIDs() []uint64 { return r.ids(&r.lost) }

func (r *recorder) unreachableTold() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unreachable
}

func (r *recorder) ids(msgs *[]wire.Message) []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := []uint64{}
	for _, m := range *msgs {
		ids = append(ids, m.Request.ID)
	}
	return ids
}

// logLines collects a log as text, without times.
type logLines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func node(id kv.NodeID) wire.Node {
	return wire.Node{ID: id, Name: fmt.Sprintf("n%d", id), Peer: fmt.Sprintf("host%d", id)}
}

// options are those of node id in a cluster of three on a network in memory.
func options(network *pipes, id kv.NodeID, h Handler) Options {
	return Options{
		Cluster: 7, Self: node(id), Peers: []wire.Node{node(1), node(2), node(3)},
		Listen: node(id).Peer, Handler: h, network: network,
		Formats: wire.Formats{Min: 1, Max: 2},
	}
}

func start(t *testing.T, o Options) *Transport {
	t.Helper()
	tr, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func request(id uint64, valueBytes int) wire.Message {
	put := kv.PutRequest{Key: []byte("k"), Value: make([]byte, valueBytes)}
	txn := &kv.TxnRequest{Success: []kv.Op{{Put: &put}}}
	return wire.Message{Request: &wire.Request{ID: id, Shard: 1, Txn: txn}}
}

func requests(first, count uint64) []wire.Message {
	var out []wire.Message
	for id := first; id < first+count; id++ {
		out = append(out, request(id, 8))
	}
	return out
}

func numbers(first, count uint64) []uint64 {
	out := []uint64{}
	for id := first; id < first+count; id++ {
		out = append(out, id)
	}
	return out
}

func problem(tr *Transport, of kv.NodeID) string {
	for _, p := range tr.Peers() {
		if p.Node.ID == of {
			return p.Problem
		}
	}
	return "no such peer"
}

// silencer is a connection that can stop to carry anything, either way.
type silencer struct {
	net.Conn
	mute chan struct{} // closed when silent
}

func (s silencer) Write(p []byte) (int, error) {
	select {
	case <-s.mute:
		return len(p), nil
	default:
		return s.Conn.Write(p)
	}
}

// saboteur lets so many bytes pass, then does what it is told to the rest.
type saboteur struct {
	net.Conn
	mu   sync.Mutex
	pass int
	act  func(c net.Conn, p []byte) (int, error)
}

func (s *saboteur) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) <= s.pass {
		s.pass -= len(p)
		return s.Conn.Write(p)
	}
	n, err := 0, error(nil)
	if s.pass > 0 {
		n, err = s.Conn.Write(p[:s.pass])
		s.pass -= n
	}
	if err != nil {
		return n, err
	}
	rest, err := s.act(s.Conn, bytes.Clone(p[n:]))
	return n + rest, err
}

func (s *saboteur) arm(pass int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass = pass
}

func cutOff(c net.Conn, _ []byte) (int, error) {
	c.Close()
	return 0, io.ErrClosedPipe
}

const (
	plenty = 1 << 40
	second = time.Second
)

// stream is what a snapshot's pairs come as.
type stream = iter.Seq2[Pair, error]

// mustFail checks that an error says why.
func mustFail(t *testing.T, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("error is %v, not %q", err, why)
	}
}
