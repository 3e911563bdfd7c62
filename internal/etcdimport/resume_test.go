package etcdimport_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/etcdimport"
	"github.com/miruvor/miruvor/internal/kv"
)

// shaky is a store that fails now and then, and does some of what it was asked
// for all the same: at once, or later.
type shaky struct {
	kv.Store
	t      *testing.T
	mu     sync.Mutex
	random *rand.Rand
	// oneOf is how many transactions there are to one that fails.
	oneOf int
	late  sync.WaitGroup
}

// Txn implements kv.Store.
func (s *shaky) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	s.mu.Lock()
	fate, delay := 4, time.Duration(0)
	if s.random.IntN(s.oneOf) == 0 {
		fate, delay = s.random.IntN(4), time.Duration(s.random.Int64N(int64(3*time.Second)))
	}
	s.mu.Unlock()
	switch fate {
	case 0:
		return kv.TxnResponse{}, kv.ErrNoLeader
	case 1:
		return kv.TxnResponse{}, kv.ErrUncertain
	case 2:
		_, _ = s.Store.Txn(ctx, req)
		return kv.TxnResponse{}, kv.ErrUncertain
	case 3:
		s.late.Go(func() {
			<-time.After(delay)
			_, _ = s.Store.Txn(s.t.Context(), req)
		})
		return kv.TxnResponse{}, kv.ErrUncertain
	}
	return s.Store.Txn(ctx, req)
}

// TestKilled: an import that ends again and again, into a store that fails, goes
// on each time and arrives. Every version of a key that is followed is there once,
// in order, and what was written as one is there as one.
func TestKilled(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			inWorld(t, func(w *world) { killed(w, seed) })
		})
	}
}

func killed(w *world, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 3000 {
		w.put(fmt.Sprintf("k%04d", i), "old", 0)
	}
	store := &shaky{
		Store: w.opts.To, t: w.t, random: rand.New(rand.NewPCG(seed, 1)), oneOf: 3,
	}
	w.opts.To, w.opts.Follow, w.opts.UntilIdle = store, true, 3*time.Second
	splits := seed%2 == 1
	if splits {
		w.opts.Limits.OpsMax = 8
	}
	var writing sync.WaitGroup
	writing.Go(func() { w.keepWriting(rand.New(rand.NewPCG(seed, 2)), 400) })
	var sum etcdimport.Summary
	for lives := 0; !sum.Finished; lives++ {
		life := time.Duration(1000+random.IntN(4000)) * time.Millisecond
		ctx, kill := context.WithTimeout(w.t.Context(), life)
		if lives > 30 {
			kill()
			ctx, kill = context.WithCancel(w.t.Context())
		}
		var err error
		sum, err = etcdimport.Import(ctx, w.opts)
		// A request that was killed may take its connection's next along.
		killed := ctx.Err() != nil || errors.Is(err, kv.ErrTimeout)
		kill()
		if lives > 0 && errors.Is(err, etcdimport.ErrNotEmpty) {
			break // the last one was killed when it had just finished
		}
		if (err == nil) != sum.Finished || err != nil && !killed {
			w.t.Fatalf("life %d: %v", lives, err)
		}
	}
	writing.Wait()
	store.late.Wait()
	w.same()
	w.checkHistory(splits)
}

// keepWriting makes transactions with two counters, which stay equal, some keys
// that are put and deleted, and now and then many at once.
func (w *world) keepWriting(random *rand.Rand, txns int) {
	for i := range txns {
		<-time.After(time.Duration(random.IntN(200)) * time.Millisecond)
		count := []byte(strconv.Itoa(i + 1))
		ops := []kv.Op{
			{Put: &kv.PutRequest{Key: []byte("count/a"), Value: count}},
			{Put: &kv.PutRequest{Key: []byte("count/b"), Value: count}},
		}
		if random.IntN(3) == 0 {
			from := random.IntN(3000)
			to := from + random.IntN(30)
			ops = append(ops, kv.Op{Delete: &kv.DeleteRequest{Range: kv.Range{
				Start: fmt.Appendf(nil, "k%04d", from), End: fmt.Appendf(nil, "k%04d", to),
			}}})
		}
		if _, err := w.from.Txn(w.t.Context(), kv.TxnRequest{Success: ops}); err != nil {
			w.t.Error(err)
		}
		w.put(fmt.Sprintf("k%04d", random.IntN(3000)), string(count), 0)
	}
}

// checkHistory looks at every version of the counters that the target ever had. Of
// a revision that is split, a part may be written again.
func (w *world) checkHistory(splits bool) {
	w.t.Helper()
	stream, err := w.to.Watch(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer stream.Close()
	keys := kv.PrefixRange([]byte("count/"))
	if _, err := stream.Add(kv.WatchRequest{Range: keys, From: 1}); err != nil {
		w.t.Fatal(err)
	}
	stream.Progress()
	var counts [2][]int
	for {
		resp, err := stream.Next(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range resp.Events {
			count, err := strconv.Atoi(string(e.KV.Value))
			if err != nil {
				w.t.Fatal(err)
			}
			which := strings.Index("ab", string(e.KV.Key[len("count/"):]))
			counts[which] = append(counts[which], count)
		}
		if resp.ID == 0 {
			break
		}
	}
	if !slices.Equal(counts[0], counts[1]) {
		w.t.Errorf("what was written as one is not:\n%v\n%v", counts[0], counts[1])
	}
	for i, n := range counts[0] {
		again := splits && i > 0 && n == counts[0][i-1]
		if i > 0 && n != counts[0][i-1]+1 && !again {
			w.t.Fatalf("%d follows %d", n, counts[0][i-1])
		}
	}
	if len(counts[0]) < 100 {
		w.t.Errorf("only %d were followed", len(counts[0]))
	}
}

// TestOvertaken: of two imports the one that began last goes on.
func TestOvertaken(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put("a", "1", 0)
		w.opts.Follow = true
		first := make(chan error)
		go func() {
			_, err := etcdimport.Import(w.t.Context(), w.opts)
			first <- err
		}()
		<-time.After(time.Minute)
		w.opts.UntilIdle = 5 * time.Second
		opts := w.opts
		second := make(chan error)
		go func() {
			_, err := etcdimport.Import(w.t.Context(), opts)
			second <- err
		}()
		<-time.After(time.Second)
		w.put("a", "2", 0)
		if err := <-first; !errors.Is(err, etcdimport.ErrOvertaken) {
			w.t.Errorf("the first ended with %v", err)
		}
		if err := <-second; err != nil {
			w.t.Error(err)
		}
		w.same()
	})
}

// TestCompacted: what the source has forgotten while the import was away is made
// up for.
func TestCompacted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put("a", "1", 0)
		w.put("b", "1", 0)
		w.interrupt()
		w.delete(kv.PointRange([]byte("a")))
		w.put("b", "2", 0)
		w.put("c", "2", 0)
		if _, err := w.from.Compact(w.t.Context(), 6); err != nil {
			w.t.Fatal(err)
		}
		w.opts.UntilIdle = time.Second
		sum := w.do()
		w.same()
		if !sum.Resumed || sum.Rounds != 1 || sum.Puts != 2 || sum.Deletes != 1 {
			w.t.Errorf("%+v", sum)
		}
	})
}

// interrupt follows for a minute.
func (w *world) interrupt() {
	w.t.Helper()
	w.opts.Follow = true
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if _, err := etcdimport.Import(ctx, w.opts); !errors.Is(err, context.DeadlineExceeded) {
		w.t.Fatal(err)
	}
}

// TestLeaseLost: keys that went with a lease, because nobody kept it alive while
// the import was away, come back.
func TestLeaseLost(t *testing.T) {
	for _, prefix := range []string{"", "s"} {
		inWorld(t, func(w *world) {
			w.grant(5, 100)
			w.put("session", "1", 5)
			w.put("s", "1", 0)
			w.opts.Prefix = []byte(prefix)
			w.interrupt()
			keep := func() {
				if _, err := w.from.LeaseKeepAlive(w.t.Context(), 5); err != nil {
					w.t.Fatal(err)
				}
			}
			keep()
			<-time.After(90 * time.Second)
			keep()
			<-time.After(90 * time.Second)
			w.hasLease(5, false)
			w.opts.UntilIdle = time.Second
			sum := w.do()
			w.same()
			w.hasLease(5, true)
			if sum.Rounds != 1 || sum.Puts != 1 {
				w.t.Errorf("%+v", sum)
			}
		})
	}
}

// TestLeaseKept: copies live for as long as the source has the lease, also those
// of an import that was resumed and wrote nothing, and end with it.
func TestLeaseKept(t *testing.T) {
	for _, prefix := range []string{"", "s"} {
		inWorld(t, func(w *world) {
			w.grant(5, 20)
			w.put("session", "1", 5)
			w.opts.Prefix = []byte(prefix)
			keeping, stop := context.WithTimeout(w.t.Context(), 10*time.Minute)
			defer stop()
			var keeper sync.WaitGroup
			keeper.Go(func() {
				for keeping.Err() == nil {
					if _, err := w.from.LeaseKeepAlive(w.t.Context(), 5); err != nil {
						w.t.Error(err)
					}
					<-time.After(5 * time.Second)
				}
			})
			w.interrupt()
			w.interrupt()
			w.hasLease(5, true)
			keeper.Go(func() {
				<-keeping.Done()
				<-time.After(time.Minute)
			})
			w.opts.UntilIdle = 11 * time.Minute
			sum := w.do()
			keeper.Wait()
			w.same()
			w.hasLease(5, false)
			if sum.Rounds != 0 || sum.Deletes != 1 {
				w.t.Errorf("%+v", sum)
			}
		})
	}
}
