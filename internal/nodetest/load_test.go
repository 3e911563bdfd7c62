package nodetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	writers     = 4
	keysAWriter = 8
	writePause  = 10 * time.Millisecond
	readPause   = 5 * time.Millisecond
	// patience is how long a request waits for a process that may be stopped.
	patience = 500 * time.Millisecond
)

// load writes and reads all the time and remembers what must stay true.
type load struct {
	c       *cluster
	cancel  context.CancelFunc
	running sync.WaitGroup
	reads   atomic.Int64
	// uncertain counts the writes without a known outcome, failed those that
	// certainly had none.
	uncertain, failed atomic.Int64

	mu sync.Mutex
	// floor is the highest revision that an answer told of a key.
	floor map[string]kv.Revision
	// written is every acknowledged write.
	written  []written
	problems []error
}

// written is an acknowledged write. No two have the same value.
type written struct {
	key, value string
	revision   kv.Revision
}

// startLoad writes through all nodes and reads from each. Writers begin their
// keys with a, b, c and so on, so that they lie in different shards.
func startLoad(c *cluster) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{c: c, cancel: cancel, floor: map[string]kv.Revision{}}
	for i := range writers {
		l.running.Go(func() { l.write(ctx, i) })
	}
	for _, p := range c.processes {
		l.running.Go(func() { l.read(ctx, p) })
	}
	c.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

func loadKey(writer, n int) string { return fmt.Sprintf("%c/%d", 'a'+writer, n) }

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Errorf(format, args...))
}

// above returns the revision that a read begun now must not be below.
func (l *load) above(key string) kv.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor[key]
}

func (l *load) saw(key string, rev kv.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor[key] = max(l.floor[key], rev)
}

func (l *load) write(ctx context.Context, writer int) {
	client := newClient(l.c.t, l.c.endpoints()...)
	tick := time.NewTicker(writePause)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		key := loadKey(writer, n%keysAWriter)
		value := fmt.Sprintf("%d-%d", writer, n)
		before := l.above(key)
		resp, err := put(ctx, client, key, value)
		switch {
		case err == nil && resp.Revision <= before:
			l.fail("the write of %q has revision %v after %v", key, resp.Revision, before)
		case err == nil:
			l.saw(key, resp.Revision)
			l.mu.Lock()
			l.written = append(l.written, written{key, value, resp.Revision})
			l.mu.Unlock()
		case errors.Is(err, kv.ErrUncertain):
			l.uncertain.Add(1)
		default:
			l.failed.Add(1)
		}
		pause(ctx, tick)
	}
}

// read reads from one node, which may be down, and looks whether anything is
// older than what was known before.
func (l *load) read(ctx context.Context, p *process) {
	tick := time.NewTicker(readPause)
	defer tick.Stop()
	for ctx.Err() == nil {
		key := loadKey(rand.IntN(writers), rand.IntN(keysAWriter))
		before := l.above(key)
		resp, err := get(ctx, p.client, key)
		if err == nil {
			l.reads.Add(1)
			rev := kv.Revision(0)
			if len(resp.KVs) > 0 {
				rev = resp.KVs[0].ModRevision
			}
			if rev < before {
				l.fail("stale read on %s: %q is at %v, but was at %v before the read began",
					p.name, key, rev, before)
			}
			l.saw(key, rev)
		}
		pause(ctx, tick)
	}
}

func put(ctx context.Context, s kv.Store, key, value string) (kv.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return kv.Put(ctx, s, kv.PutRequest{Key: []byte(key), Value: []byte(value)})
}

func get(ctx context.Context, s kv.Store, key string) (kv.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Range(ctx, kv.RangeRequest{Range: kv.PointRange([]byte(key))})
}

func pause(ctx context.Context, tick *time.Ticker) {
	select {
	case <-ctx.Done():
	case <-tick.C:
	}
}

// verify stops the load and looks for every acknowledged write where it was
// acknowledged: in the state at its revision.
func (l *load) verify() {
	t := l.c.t
	t.Helper()
	l.stop()
	todo := make(chan written)
	var checkers sync.WaitGroup
	for range 4 {
		checkers.Go(func() {
			for w := range todo {
				l.verifyWrite(w)
			}
		})
	}
	for _, w := range l.written {
		todo <- w
	}
	close(todo)
	checkers.Wait()
	for i, problem := range l.problems {
		if i == 20 {
			t.Errorf("and %d more", len(l.problems)-i)
			break
		}
		t.Error(problem)
	}
	t.Logf("%d writes acknowledged, %d uncertain, %d failed; %d reads",
		len(l.written), l.uncertain.Load(), l.failed.Load(), l.reads.Load())
	if len(l.written) == 0 || l.reads.Load() == 0 {
		t.Error("there was no load")
	}
}

func (l *load) verifyWrite(w written) {
	resp, err := l.c.client.Range(l.c.t.Context(), kv.RangeRequest{
		Range: kv.PointRange([]byte(w.key)), Revision: w.revision,
	})
	switch {
	case err != nil:
		l.fail("read of %q at %v: %w", w.key, w.revision, err)
	case len(resp.KVs) == 0 || resp.KVs[0].ModRevision != w.revision ||
		string(resp.KVs[0].Value) != w.value:
		l.fail("the write %+v was acknowledged and is lost, at its revision is %+v", w, resp.KVs)
	}
}

func (c *cluster) endpoints() []string {
	var list []string
	for _, p := range c.processes {
		list = append(list, p.endpoint)
	}
	return list
}
