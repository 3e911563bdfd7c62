package transport

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// overTCP starts two nodes on loopback and returns when the first reaches
// the second.
func overTCP(t testing.TB, here, there Handler) (a, b *Transport) {
	t.Helper()
	listen := func(id kv.NodeID, h Handler) *Transport {
		tr, err := Listen(Options{Cluster: 7, Self: node(id), Listen: "127.0.0.1:0", Handler: h})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	a, b = listen(1, here), listen(2, there)
	peers := []wire.Node{node(1), node(2)}
	peers[0].Peer, peers[1].Peer = a.Addr().String(), b.Addr().String()
	a.SetPeers(peers)
	b.SetPeers(peers)
	for deadline := time.Now().Add(10 * time.Second); !a.Connected(2); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not connected: %+v", a.Peers())
		}
	}
	return a, b
}

func TestOverTCP(t *testing.T) {
	const count = 20_000
	before := runtime.NumGoroutine()
	done, seen := make(chan struct{}), 0
	there := &recorder{receive: func(_ kv.NodeID, msgs []wire.Message) {
		if seen += len(msgs); seen == count {
			close(done)
		}
	}}
	pairs := 0
	there.snapshot = taker(t, &pairs)
	a, b := overTCP(t, &recorder{}, there)
	for id := range uint64(count) {
		if a.Send(2, request(id, 8)) != 0 {
			t.Fatal("dropped")
		}
	}
	<-done
	if got := there.gotIDs(); !slices.Equal(got, numbers(0, count)) {
		t.Errorf("got %d messages in another order", len(got))
	}
	if err := a.SendSnapshot(t.Context(), 2, snapshotHeader(), numberedPairs(5000)); err != nil {
		t.Error(err)
	}
	for _, tr := range []*Transport{a, b} {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	// Those that a canceled context woke may still be on their way out.
	deadline := time.Now().Add(10 * time.Second)
	for ; runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("left behind:\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A receiver's reason reaches a sender that is in the middle of writing,
// although the receiver does not read on.
func TestReasonArrivesOverTCP(t *testing.T) {
	there := &recorder{snapshot: func(_ kv.NodeID, _ wire.SnapshotHeader, pairs stream) error {
		for range pairs {
			return errors.New("disk is full")
		}
		return nil
	}}
	a, _ := overTCP(t, &recorder{}, there)
	for range 8 {
		mustFail(t, sendPairs(t, a, numberedPairs(50_000)), "disk is full")
	}
}

// A failure reads the same twice, so that it is logged once: no ports in it.
func TestFailuresNameNoPorts(t *testing.T) {
	o := Options{
		Self: node(1), Listen: "127.0.0.1:0", Handler: &recorder{},
		Peers: []wire.Node{{ID: 2, Peer: "127.0.0.1:1"}},
	}
	a, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for problem(a, 2) == "not reached yet" {
		runtime.Gosched()
	}
	if p := problem(a, 2); !strings.Contains(p, "refused") || strings.Contains(p, "127.0.0.1") {
		t.Errorf("problem is %q", p)
	}
}

// BenchmarkSend sends requests with 200 bytes over loopback, as fast as they
// are taken. Both ends run in this process; cpu-ns/op counts both.
func BenchmarkSend(b *testing.B) {
	const window = 4096 // messages on their way
	credit := make(chan struct{}, window)
	there := &sink{credit: credit}
	sender, _ := overTCP(b, &recorder{}, there)
	message := request(1, 200)
	b.ReportAllocs()
	began := cpuTime()
	for b.Loop() {
		credit <- struct{}{}
		if sender.Send(2, message) != 0 {
			b.Fatal("dropped")
		}
	}
	for range window { // all of them have arrived
		credit <- struct{}{}
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
	frames := sender.Peers()[0].Counters
	b.ReportMetric(float64(frames.MessagesSent)/float64(frames.FramesSent), "messages/frame")
}

// sink gives a credit back for each message.
type sink struct {
	recorder
	credit chan struct{}
}

func (s *sink) Receive(_ kv.NodeID, msgs []wire.Message) {
	for range msgs {
		<-s.credit
	}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkSendSnapshot(b *testing.B) {
	there := &recorder{}
	pair := Pair{Key: make([]byte, 30), Value: make([]byte, 200)}
	there.snapshot = func(_ kv.NodeID, _ wire.SnapshotHeader, p stream) error {
		for _, err := range p {
			if err != nil {
				return err
			}
		}
		return nil
	}
	sender, _ := overTCP(b, &recorder{}, there)
	b.SetBytes(int64(len(pair.Key) + len(pair.Value)))
	pairs := func(yield func(Pair, error) bool) {
		for b.Loop() {
			if !yield(pair, nil) {
				return
			}
		}
	}
	if err := sender.SendSnapshot(b.Context(), 2, snapshotHeader(), pairs); err != nil {
		b.Fatal(err)
	}
}
