package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"go.etcd.io/raft/v3/raftpb"
)

func snapshotHeader() wire.SnapshotHeader {
	return wire.SnapshotHeader{
		Shard: 4, Descriptor: []byte("descriptor"),
		Msg: &raftpb.Message{Type: raftpb.MsgSnap.Enum(), Term: new(uint64(3))},
	}
}

func numberedPairs(n int) stream {
	return func(yield func(Pair, error) bool) {
		for i := range n {
			value := bytes.Repeat([]byte{byte(i)}, i%500)
			if !yield(Pair{Key: fmt.Appendf(nil, "key%06d", i), Value: value}, nil) {
				return
			}
		}
	}
}

type takeFunc = func(kv.NodeID, wire.SnapshotHeader, stream) error

// taker is a Handler's Snapshot that checks that numberedPairs come.
func taker(t *testing.T, count *int) takeFunc {
	return func(from kv.NodeID, h wire.SnapshotHeader, pairs stream) error {
		if from != 1 || h.Shard != 4 || h.Msg.GetTerm() != 3 ||
			string(h.Descriptor) != "descriptor" {
			t.Errorf("from %s, header %+v", from, h)
		}
		for pair, err := range pairs {
			if err != nil {
				return err
			}
			key := fmt.Appendf(nil, "key%06d", *count)
			value := bytes.Repeat([]byte{byte(*count)}, *count%500)
			if !bytes.Equal(pair.Key, key) || !bytes.Equal(pair.Value, value) {
				return fmt.Errorf("pair %d is %q", *count, pair.Key)
			}
			*count++
		}
		return nil
	}
}

// sendPairs sends a snapshot to node 2.
func sendPairs(t *testing.T, from *Transport, pairs stream) error {
	return from.SendSnapshot(t.Context(), 2, snapshotHeader(), pairs)
}

// snapshotPair starts two nodes of which the first can send to the second.
func snapshotPair(t *testing.T, network *pipes, there *recorder) (*Transport, *Transport) {
	o := options(network, 2, there)
	o.Peers = []wire.Node{{ID: 1}} // dials nobody
	b := start(t, o)
	o = options(network, 1, &recorder{})
	o.Peers = []wire.Node{node(2)}
	a := start(t, o)
	synctest.Wait()
	return a, b
}

func TestSnapshotArrives(t *testing.T) {
	for _, n := range []int{0, 1, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			count := 0
			there := &recorder{snapshot: taker(t, &count)}
			a, _ := snapshotPair(t, newPipes(), there)
			err := sendPairs(t, a, numberedPairs(n))
			if err != nil || count != n {
				t.Errorf("%d of %d pairs taken, %v", count, n, err)
			}
			if !a.Connected(2) {
				t.Error("the snapshot took the messages' connection away")
			}
		})
	}
}

func TestSnapshotSenderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count, seen := 0, error(nil)
		there := &recorder{}
		there.snapshot = func(from kv.NodeID, h wire.SnapshotHeader, p stream) error {
			seen = taker(t, &count)(from, h, p)
			return seen
		}
		a, _ := snapshotPair(t, newPipes(), there)
		broken := errors.New("engine: bad block")
		err := sendPairs(t, a, func(yield func(Pair, error) bool) {
			for pair, err := range numberedPairs(5000) {
				if !yield(pair, err) {
					return
				}
			}
			yield(Pair{}, broken)
		})
		synctest.Wait()
		if !errors.Is(err, broken) {
			t.Errorf("sender: %v", err)
		}
		mustFail(t, seen, "sender gave up: engine: bad block")
	})
}

func TestSnapshotReceiverGivesUp(t *testing.T) {
	for _, after := range []int{0, 1, 3000} {
		synctest.Test(t, func(t *testing.T) {
			there := &recorder{}
			there.snapshot = func(_ kv.NodeID, _ wire.SnapshotHeader, p stream) error {
				left := after
				for range p {
					if left--; left <= 0 {
						break
					}
				}
				return errors.New("disk is full")
			}
			a, _ := snapshotPair(t, newPipes(), there)
			sent := 0
			err := sendPairs(t, a, func(yield func(Pair, error) bool) {
				for pair, err := range numberedPairs(1 << 20) {
					if sent++; !yield(pair, err) {
						return
					}
				}
			})
			mustFail(t, err, "snapshot of s4 to n2: refused by the peer: disk is full")
			if sent == 1<<20 {
				t.Error("the sender went on to the end")
			}
		})
	}
}

// A receiver that leaves the loop early and reports success has not taken
// all, and the sender is not told that it has.
func TestSnapshotCutShortIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &recorder{}
		there.snapshot = func(_ kv.NodeID, _ wire.SnapshotHeader, p stream) error {
			for range p {
				break
			}
			return nil
		}
		a, _ := snapshotPair(t, newPipes(), there)
		err := sendPairs(t, a, numberedPairs(10))
		mustFail(t, err, "stopped before the end")
	})
}

func TestSnapshotCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count, seen := 0, error(nil)
		there := &recorder{}
		there.snapshot = func(from kv.NodeID, h wire.SnapshotHeader, p stream) error {
			seen = taker(t, &count)(from, h, p)
			return seen
		}
		a, _ := snapshotPair(t, newPipes(), there)
		reason := errors.New("no longer the leader")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := a.SendSnapshot(ctx, 2, snapshotHeader(), func(yield func(Pair, error) bool) {
			for pair, err := range numberedPairs(5000) {
				if !yield(pair, err) {
					return
				}
			}
			cancel(reason)
			synctest.Wait()
			yield(Pair{}, nil)
		})
		synctest.Wait()
		if !errors.Is(err, reason) {
			t.Errorf("sender: %v", err)
		}
		if seen == nil {
			t.Error("the receiver was not told")
		}
	})
}

// Neither a slow receiver nor a slow sender is taken for a dead one.
func TestSnapshotMayBeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := 0
		take := taker(t, &count)
		there := &recorder{}
		there.snapshot = func(from kv.NodeID, h wire.SnapshotHeader, p stream) error {
			time.Sleep(time.Minute)
			if err := take(from, h, p); err != nil {
				return err
			}
			time.Sleep(time.Minute)
			return nil
		}
		a, _ := snapshotPair(t, newPipes(), there)
		err := sendPairs(t, a, func(yield func(Pair, error) bool) {
			for pair, err := range numberedPairs(3000) {
				if !yield(pair, err) {
					return
				}
			}
			time.Sleep(time.Minute)
		})
		if err != nil || count != 3000 {
			t.Errorf("%d pairs taken, %v", count, err)
		}
	})
}

func TestSnapshotToDeadNodeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, count := newPipes(), 0
		there := &recorder{}
		mute := make(chan struct{})
		there.snapshot = func(from kv.NodeID, h wire.SnapshotHeader, p stream) error {
			close(mute)
			return taker(t, &count)(from, h, p)
		}
		a, _ := snapshotPair(t, network, there)
		network.setSpoil(func(c net.Conn) net.Conn { return silencer{c, mute} })
		began := time.Now()
		err := sendPairs(t, a, numberedPairs(5000))
		if err == nil || time.Since(began) > 20*second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// A flipped bit anywhere in the stream is found: the receiver does not
// report success, nor does the sender.
func TestSnapshotWithFlippedBit(t *testing.T) {
	for _, at := range []int{200, 250, 3_000, 262_500, 700_000} {
		synctest.Test(t, func(t *testing.T) {
			network, count, seen := newPipes(), 0, error(nil)
			there := &recorder{}
			there.snapshot = func(from kv.NodeID, h wire.SnapshotHeader, p stream) error {
				seen = taker(t, &count)(from, h, p)
				return seen
			}
			a, _ := snapshotPair(t, network, there)
			flipped := false
			network.setSpoil(func(c net.Conn) net.Conn {
				return &saboteur{Conn: c, pass: at, act: func(c net.Conn, p []byte) (int, error) {
					if !flipped {
						flipped = true
						p[0] ^= 0x10
					}
					return c.Write(p)
				}}
			})
			err := sendPairs(t, a, numberedPairs(5000))
			if err == nil || !flipped {
				t.Fatalf("flipped %v at %d: sender: %v", flipped, at, err)
			}
			mustFail(t, err, "bad frame")
			if at > 300 { // beyond the header
				mustFail(t, seen, "bad frame")
			}
		})
	}
}

func TestSnapshotsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, release := newPipes(), make(chan struct{})
		there := &recorder{}
		there.snapshot = func(_ kv.NodeID, _ wire.SnapshotHeader, p stream) error {
			<-release
			for range p {
			}
			return nil
		}
		a, _ := snapshotPair(t, network, there)
		outcomes := make(chan error, 4)
		for range 4 {
			go func() {
				outcomes <- sendPairs(t, a, numberedPairs(10))
			}()
		}
		synctest.Wait()
		err := sendPairs(t, a, numberedPairs(10))
		mustFail(t, err, "n2 receives 4 snapshots, the most at a time")
		close(release)
		for range 4 {
			if err := <-outcomes; err != nil {
				t.Error(err)
			}
		}
		if err := sendPairs(t, a, numberedPairs(10)); err != nil {
			t.Errorf("after the others: %v", err)
		}
	})
}

func TestSnapshotErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, count := newPipes(), 0
		there := &recorder{snapshot: taker(t, &count)}
		a, b := snapshotPair(t, network, there)
		err := a.SendSnapshot(t.Context(), 9, snapshotHeader(), numberedPairs(1))
		mustFail(t, err, "n9 is not a peer")
		err = sendPairs(t, a, func(yield func(Pair, error) bool) {
			yield(Pair{Key: make([]byte, 17<<20)}, nil)
		})
		mustFail(t, err, "over the limit of 16777216")
		// Close interrupts a stream on either end.
		err = sendPairs(t, a, func(yield func(Pair, error) bool) {
			for pair, err := range numberedPairs(1 << 20) {
				if string(pair.Key) == "key010000" {
					b.Close()
				}
				if !yield(pair, err) {
					return
				}
			}
		})
		if err == nil {
			t.Error("a closed receiver has taken everything")
		}
		outcome := make(chan error)
		go func() {
			outcome <- sendPairs(t, a, numberedPairs(1<<20))
		}()
		a.Close()
		if err := <-outcome; err == nil {
			t.Error("a closed sender has sent everything")
		}
		if err := sendPairs(t, a, numberedPairs(1)); err == nil {
			t.Error("a closed transport sends")
		}
	})
}
