package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miruvor/miruvor/internal/admission"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
	"github.com/miruvor/miruvor/internal/worker"
)

// fill has a room take what it can, and returns how to undo that.
func fill(r *admission.Room) (empty func()) {
	n := 0
	for r.Enter(0) {
		n++
	}
	return func() {
		for range n {
			r.Leave(0, false)
		}
	}
}

// Keys of the first and of the last shard.
var lowKey, highKey = []byte("\x00low"), []byte("\xffhigh")

// requests are what a test may ask of a node, by name.
func requests(t *testing.T, n *Node) map[string]func() error {
	t.Helper()
	lease, err := n.LeaseGrant(t.Context(), kv.LeaseGrantRequest{TTL: 60})
	if err != nil {
		t.Fatal(err)
	}
	write := func(key []byte) func() error {
		return func() error {
			_, err := kv.Put(t.Context(), n, kv.PutRequest{Key: key})
			return err
		}
	}
	read := func(key []byte) func() error {
		return func() error {
			_, err := n.Range(t.Context(), kv.RangeRequest{Range: kv.PointRange(key)})
			return err
		}
	}
	return map[string]func() error{
		"write low": write(lowKey), "write high": write(highKey),
		"read low": read(lowKey), "read high": read(highKey),
		"grant": func() error {
			_, err := n.LeaseGrant(t.Context(), kv.LeaseGrantRequest{TTL: 60})
			return err
		},
		"keep alive": func() error {
			_, err := n.LeaseKeepAlive(t.Context(), lease.ID)
			return err
		},
		"compact": func() error {
			_, err := n.Compact(t.Context(), kv.RevisionMax)
			if errors.Is(err, kv.ErrFutureRevision) {
				return nil // it was looked at
			}
			return err
		},
	}
}

// TestEntrances: a shard of which too much is asked, or that does nothing, has the
// rest refused at once, in either direction, and what is asked of others goes on.
func TestEntrances(t *testing.T) {
	c := newTestCluster(t, 1, 2, DurabilityMemory)
	c.awaitReady(0)
	n := c.nodes[0]
	low := n.entrances[n.shards.Locate(lowKey).ID]
	if low == n.entrances[n.shards.Locate(highKey).ID] {
		t.Fatal("one shard")
	}
	calls := requests(t, n)
	for _, test := range []struct {
		full    *admission.Room
		refused string
	}{
		{low.writes, "write low"},
		{low.reads, "read low"},
		{n.entrances[kv.SystemShard].writes, "grant"},
		{n.entrances[kv.SystemShard].reads, ""}, // no client reads it
	} {
		empty := fill(test.full)
		for name, do := range calls {
			err := do()
			if name != test.refused && err != nil {
				t.Errorf("full of %s: %s: %v", test.refused, name, err)
			}
			if name == test.refused && !(errors.Is(err, kv.ErrTooManyRequests) &&
				strings.Contains(err.Error(), "to shard")) {
				t.Errorf("full: %s: %v", name, err)
			}
		}
		empty()
		for name, do := range calls {
			if err := do(); err != nil {
				t.Errorf("no more full of %s: %s: %v", test.refused, name, err)
			}
		}
	}
	for shard, e := range n.entrances {
		reads, _ := e.reads.Live()
		if writes, _ := e.writes.Live(); reads != 0 || writes != 0 {
			t.Errorf("shard %v: %d reads and %d writes are left", shard, reads, writes)
		}
	}
}

// TestGoesOn: what goes on with a request that was let in is let in, and counted.
func TestGoesOn(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	n := c.nodes[0]
	room := n.entrances[n.shards.Locate(nil).ID].reads
	empty := fill(room)
	full, _ := room.Live()
	all := kv.RangeRequest{Range: kv.Range{}}
	if _, err := n.Range(t.Context(), all); !errors.Is(err, kv.ErrTooManyRequests) {
		t.Errorf("a range that begins: %v", err)
	}
	if _, err := n.Range(kv.GoingOn(t.Context()), all); err != nil {
		t.Errorf("one that goes on: %v", err)
	}
	if calls, _ := room.Live(); calls != full {
		t.Errorf("%d are under way, want %d", calls, full)
	}
	empty()
}

// TestWhatIsDone: only what a shard has done shows what it can do.
func TestWhatIsDone(t *testing.T) {
	for err, want := range map[error]bool{
		kv.ErrCompacted: true, kv.ErrLeaseNotFound: true, kv.ErrConflict: true,
		fmt.Errorf("%w: why", kv.ErrTimeout): false, kv.ErrUncertain: false,
		kv.ErrNoLeader: false, kv.ErrTooManyRequests: false, kv.ErrNotReady: false,
	} {
		if isDone(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}

// TestLargeReads: a read counts as its like did: before any is done that is little,
// and then it leaves room for as many as memory should hold. Reads of a key don't pay for
// those of ranges, and what shrinks is believed soon.
func TestLargeReads(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	n := c.nodes[0]
	e := n.entrances[n.shards.Locate(nil).ID]
	large := make([]byte, 1<<20)
	for _, key := range []string{"large", "largest"} {
		put := kv.PutRequest{Key: []byte(key), Value: large}
		if _, err := kv.Put(t.Context(), n, put); err != nil {
			t.Fatal(err)
		}
	}
	c.put(0, "small", "v")
	read := func(r kv.Range, times int) {
		t.Helper()
		for range times {
			if _, err := n.Range(t.Context(), kv.RangeRequest{Range: r}); err != nil {
				t.Fatal(err)
			}
		}
		if calls, bytes := e.reads.Live(); calls != 0 || bytes != 0 {
			t.Errorf("%d with %d bytes are left", calls, bytes)
		}
	}
	const little = 200 // for what is not values
	expect := func(what string, key, span int) {
		t.Helper()
		if got := e.keys.expect(); got < key || got > key+little {
			t.Errorf("%s: a read of a key counts %d, want %d", what, got, key)
		}
		if got := e.ranges.expect(); got < span || got > span+little {
			t.Errorf("%s: one of a range counts %d, want %d", what, got, span)
		}
	}
	read(kv.PointRange([]byte("small")), 10)
	expect("small ones", 0, rangeBytesAtFirst)
	read(kv.PrefixRange([]byte("large")), 100)
	expect("large ranges", 0, 2<<20)
	read(kv.PointRange([]byte("large")), 100)
	expect("large keys", 1<<20, 2<<20)
	read(kv.PrefixRange([]byte("s")), 100)
	read(kv.PointRange([]byte("small")), 100)
	expect("small ones again", 0, 0)
}

// handedOn is how many requests are past the look at their context.
func handedOn(t *thread) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// TestGoneCallers: a request whose caller has gone counts until the worker has done with
// it, and so no more are let in than can be under way.
func TestGoneCallers(t *testing.T) {
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	n := c.nodes[0]
	hold := func(held bool) {
		n.threads.get()[0].call(func(_ wire.Instant, w *worker.Worker) { w.Hold(held) })
	}
	room := n.entrances[n.shards.Locate([]byte("a")).ID].writes
	hold(true)
	for i := range 3 {
		ctx, leave := context.WithCancel(t.Context())
		put := make(chan error)
		go func() {
			_, err := kv.Put(ctx, n, kv.PutRequest{Key: []byte("a"), Value: make([]byte, 1000)})
			put <- err
		}()
		c.await("the put to wait", func() error {
			calls, _ := room.Live()
			if has := handedOn(n.threads.get()[0]); calls != int64(i+1) || has != i+1 {
				return fmt.Errorf("%d are under way, %d handed on", calls, has)
			}
			return nil
		})
		leave()
		if err := <-put; !errors.Is(err, kv.ErrUncertain) {
			t.Errorf("put %d, given up: %v", i, err)
		}
	}
	if calls, bytes := room.Live(); calls != 3 || bytes < 3000 {
		t.Errorf("%d with %d bytes are under way", calls, bytes)
	}
	hold(false)
	c.await("the puts", func() error {
		if calls, bytes := room.Live(); calls != 0 || bytes != 0 {
			return fmt.Errorf("%d with %d bytes are under way", calls, bytes)
		}
		return nil
	})
}
