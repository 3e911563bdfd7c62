package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// fragile is a connection that breaks once so many bytes were read.
type fragile struct {
	net.Conn
	left int
}

func (c *fragile) Read(p []byte) (int, error) {
	if c.left == 0 {
		c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// TestResumes cuts connections after any number of bytes while keys change.
// What a watch tells is the history all the same: nothing twice, nothing left
// out, no half of a revision.
func TestResumes(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			const writes = 60
			fake, network := kvfake.New(), newPipes(t)
			network.serve("a:1", fake)
			network.serve("b:1", fake)
			rng := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			network.wrap = func(conn net.Conn) net.Conn {
				mu.Lock()
				defer mu.Unlock()
				return &fragile{conn, 300 + rng.IntN(3000)}
			}
			stream := watchAll(t, network.client("a:1", "b:1"), kv.WatchRequest{
				From: kv.Revision(seed % 3), PrevKV: seed%2 == 0,
			})
			go write(t, fake, seed, writes, time.Sleep)
			got := told(t, stream, fake, writes)
			want := told(t, watchAll(t, fake, kv.WatchRequest{
				From: max(kv.Revision(seed%3), 2), PrevKV: seed%2 == 0,
			}), fake, writes)
			if got != want {
				t.Errorf("seed %d: told\n%swant\n%s", seed, got, want)
			}
		})
	}
}

func watchAll(t *testing.T, store kv.Store, req kv.WatchRequest) kv.WatchStream {
	t.Helper()
	stream, err := store.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	for {
		switch _, err = stream.Add(req); {
		case err == nil:
			return stream
		case errors.Is(err, kv.ErrInvalid):
			t.Fatal(err)
		}
	}
}

// write makes so many revisions, each of two keys or a range deleted, with
// pauses between them.
func write(
	t *testing.T, store kv.Store, seed uint64, writes int, pause func(time.Duration),
) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := range writes {
		pause(time.Duration(rng.IntN(100)) * time.Millisecond)
		value := fmt.Append(nil, i, strings.Repeat("x", rng.IntN(300)))
		ops := []kv.Op{
			{Put: &kv.PutRequest{Key: fmt.Append(nil, "k", rng.IntN(5)), Value: value}},
			{Put: &kv.PutRequest{Key: []byte("same"), Value: value}},
		}
		if i%7 == 6 {
			keys := kv.PrefixRange([]byte("k"))
			ops[0] = kv.Op{Delete: &kv.DeleteRequest{Range: keys}}
		}
		if _, err := store.Txn(context.Background(), kv.TxnRequest{Success: ops}); err != nil {
			t.Error(err)
		}
	}
}

// told is what a stream tells of that many revisions, and then of progress.
func told(t *testing.T, stream kv.WatchStream, store kv.Store, revisions int) string {
	t.Helper()
	var out strings.Builder
	last := kv.FirstRevision + kv.Revision(revisions)
	for reached := kv.Revision(0); reached < last; {
		resp, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		reached = resp.Revision
		fmt.Fprintf(&out, "%d:", resp.Revision)
		for _, e := range resp.Events {
			fmt.Fprintf(&out, " %q=%.5q %v", e.KV.Key, e.KV.Value, e.Deleted)
			if e.Prev != nil {
				fmt.Fprintf(&out, " was %.5q", e.Prev.Value)
			}
		}
		out.WriteByte('\n')
	}
	stream.Progress()
	resp, err := stream.Next(t.Context())
	if err != nil || resp.ID != 0 || resp.Revision != last {
		t.Fatalf("%+v (%v), want progress to %v", resp, err, last)
	}
	return out.String()
}

// TestLeavesTheSilent: an endpoint that takes a request and says nothing is
// left for another, at the beginning and in the middle of a watch.
func TestLeavesTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, network := kvfake.New(), newPipes(t)
		network.hosts["silent:1"] = nil
		network.serve("a:1", fake)
		network.serve("b:1", fake)
		muted := make(chan struct{})
		network.wrap = func(conn net.Conn) net.Conn { return &mutable{conn, muted} }
		begin := time.Now()
		stream := watchAll(t, network.client("silent:1", "a:1", "b:1"), kv.WatchRequest{})
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("the silent endpoint was left after %v", took)
		}
		put(t, fake, "a", nil)
		next(t, stream, 2)
		close(muted) // what is connected says nothing any more
		network.wrap = func(conn net.Conn) net.Conn { return conn }
		put(t, fake, "a", nil)
		put(t, fake, "a", nil)
		begin = time.Now()
		next(t, stream, 3)
		if took := time.Since(begin); took < 44*time.Second || took > 60*time.Second {
			t.Errorf("the silent connection was left after %v", took)
		}
		next(t, stream, 4)
	})
}

// mutable is a connection on which nothing comes any more once muted is closed.
type mutable struct {
	net.Conn
	muted chan struct{}
}

func (c *mutable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.muted:
		if err == nil {
			return c.Read(p)
		}
	default:
	}
	return n, err
}

func next(t *testing.T, stream kv.WatchStream, revision kv.Revision) {
	t.Helper()
	resp, err := stream.Next(t.Context())
	if err != nil || resp.Revision != revision || len(resp.Events) == 0 {
		t.Fatalf("told %+v (%v), want revision %v", resp, err, revision)
	}
}

// TestCompactedMeanwhile: a watch that was cut off for too long ends, and says
// what is left.
func TestCompactedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, network := kvfake.New(), newPipes(t)
		server, _ := network.serve("a:1", fake)
		stream := watchAll(t, network.client("a:1"), kv.WatchRequest{})
		put(t, fake, "a", nil)
		next(t, stream, 2)
		server.Close()
		load(t, fake, 10)
		if _, err := fake.Compact(t.Context(), 9); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		network.serve("a:1", fake)
		resp, err := stream.Next(t.Context())
		if err != nil || resp.ID != 1 || resp.Compacted != 9 {
			t.Fatalf("told %+v (%v), want that 9 is the oldest left", resp, err)
		}
		stream.Progress()
		if resp, err = stream.Next(t.Context()); err != nil || resp.ID != 0 || resp.Revision != 12 {
			t.Errorf("progress of no watch: %+v (%v)", resp, err)
		}
	})
}

// TestQuietWatchKeepsUp: a watch of what does not change outlives compactions
// and the loss of its connection.
func TestQuietWatchKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, network := kvfake.New(), newPipes(t)
		server, _ := network.serve("a:1", fake)
		keys := kv.PointRange([]byte("quiet"))
		stream := watchAll(t, network.client("a:1"), kv.WatchRequest{Range: keys})
		load(t, fake, 10)
		time.Sleep(time.Hour)
		if _, err := fake.Compact(t.Context(), 11); err != nil {
			t.Fatal(err)
		}
		server.Close()
		network.serve("a:1", fake)
		put(t, fake, "quiet", nil)
		next(t, stream, 12)
	})
}

// TestManyWatchesOfAStream: each tells its own, progress is of all of them, and
// what is removed is silent.
func TestManyWatchesOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, network := kvfake.New(), newPipes(t)
		network.serve("a:1", fake)
		stream, err := network.client("a:1").Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stream.Close)
		want := map[kv.WatchID]string{}
		for i := range 20 {
			key := fmt.Sprintf("load/%04d", i)
			id, err := stream.Add(kv.WatchRequest{Range: kv.PointRange([]byte(key)), From: 1})
			if err != nil {
				t.Fatal(err)
			}
			want[id] = key
		}
		stream.Remove(7)
		delete(want, 7)
		load(t, fake, 20)
		stream.Progress()
		for {
			resp, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if resp.ID == 0 {
				break
			}
			if got := string(resp.Events[0].KV.Key); got != want[resp.ID] {
				t.Errorf("watch %d tells of %q, want %q", resp.ID, got, want[resp.ID])
			}
			delete(want, resp.ID)
		}
		if len(want) > 0 {
			t.Errorf("progress came before %v", want)
		}
		stream.Close()
		if _, err := stream.Next(t.Context()); !errors.Is(err, kv.ErrStopped) {
			t.Errorf("a closed stream: %v", err)
		}
		if _, err := stream.Add(kv.WatchRequest{}); !errors.Is(err, kv.ErrStopped) {
			t.Errorf("a watch of a closed stream: %v", err)
		}
	})
}
