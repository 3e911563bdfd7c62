package node

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/raftlog"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// TestHeldWrites: while the engine or the log is behind, writes wait and reads go on;
// those that wait go on by themselves once it is not.
func TestHeldWrites(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	c.put(0, "a", "1")
	n := c.nodes[0]
	t.Run("engine", func(t *testing.T) {
		hold := func(held bool) {
			for _, th := range n.threads.get() {
				th.call(func(_ wire.Instant, w *worker.Worker) { w.Hold(held) })
			}
		}
		hold(true)
		lease := kv.LeaseGrantRequest{TTL: 60}
		if _, err := n.LeaseGrant(t.Context(), lease); err != nil {
			t.Errorf("grant: %v", err)
		}
		c.heldUntil(t, func() { hold(false) })
	})
	t.Run("log", func(t *testing.T) {
		release := make(chan struct{})
		stop := raftlog.Job{Before: func() error { <-release; return nil }}
		large := &raftpb.Entry{
			Index: new(uint64(1)), Term: new(uint64(1)), Data: make([]byte, logBehindBytes),
		}
		much := raftlog.Job{Records: []raftlog.Record{{Shard: 99, Entries: []*raftpb.Entry{large}}}}
		for _, job := range []raftlog.Job{stop, much} {
			if err := n.writer.Submit(job); err != nil {
				t.Fatal(err)
			}
		}
		c.await("the thread to look", func() error {
			held := false
			n.threads.get()[0].call(func(wire.Instant, *worker.Worker) {
				held = n.threads.get()[0].held
			})
			if !held {
				return errors.New("writes are let in")
			}
			return nil
		})
		c.heldUntil(t, func() { close(release) })
	})
}

// heldUntil expects writes to wait, and nothing else, until release is called.
func (c *testCluster) heldUntil(t *testing.T, release func()) {
	t.Helper()
	n, before := c.nodes[0], c.get(0, "a")
	put := make(chan error, 1)
	go func() {
		more := kv.PutRequest{Key: []byte("a"), Value: []byte(before + "+")}
		_, err := kv.Put(t.Context(), n, more)
		put <- err
	}()
	c.await("the put to wait", func() error {
		if calls, _ := n.entrances[n.shards.Locate([]byte("a")).ID].writes.Live(); calls == 0 {
			return errors.New("it has not begun")
		}
		return nil
	})
	for range 10 {
		if got := c.get(0, "a"); got != before {
			t.Errorf("read %q while writes wait", got)
		}
	}
	select {
	case err := <-put:
		t.Fatalf("the put did not wait: %v", err)
	default:
	}
	release()
	select {
	case err := <-put:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(giveUp / 2):
		t.Error("the put waits on")
	}
	if got := c.get(0, "a"); got != before+"+" {
		t.Errorf("read %q afterwards", got)
	}
}

// TestSheds: whose log is full takes in all but further entries.
func TestSheds(t *testing.T) {
	raft := func(kind raftpb.MessageType, entries ...*raftpb.Entry) *wire.Message {
		return &wire.Message{Raft: &wire.Raft{
			Msg: &raftpb.Message{Type: kind.Enum(), Entries: entries},
		}}
	}
	entries := raft(raftpb.MsgApp, &raftpb.Entry{})
	full := &thread{shedding: true}
	for name, m := range map[string]*wire.Message{
		"commit": raft(raftpb.MsgApp), "heartbeat": raft(raftpb.MsgHeartbeat),
		"vote": raft(raftpb.MsgVote), "request": {Request: &wire.Request{}},
	} {
		if full.sheds(m) {
			t.Errorf("%s is not taken in", name)
		}
	}
	if !full.sheds(entries) || new(thread).sheds(entries) {
		t.Error("entries are taken in, or not, whatever the log")
	}
}
