package nodetest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var (
	robustSeed = flag.Uint64("robust-seed", 1, "what TestRobustness draws its choices from")
	robustTime = flag.Duration("robust-time", 6*time.Second,
		"how long TestRobustness has load; the healthy have it a sixth of that")
)

const (
	robustClients = 6
	// robustPatience is how long an operation of etcd's API may take.
	robustPatience = 2 * time.Second
	progressEvery  = "200ms"
)

// robustKeys are the keys in use: two for each letter.
func robustKeys() []string {
	var keys []string
	for c := 'a'; c <= 'h'; c++ {
		keys = append(keys, fmt.Sprintf("%c/0", c), fmt.Sprintf("%c/1", c))
	}
	return keys
}

// robustSplits are the keys that part the shards of each test.
var robustSplits = map[string][]string{
	"1-shard": nil, "8-shards": {"b", "c", "d", "e", "f", "g", "h"},
}

// TestRobustness puts load on etcd's API of a cluster whose nodes die and
// stop, and holds what clients and watches were told against one history.
func TestRobustness(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 20 s")
	}
	for name, splits := range robustSplits {
		t.Run(name, func(t *testing.T) { runRobust(t, splits, (*robust).harm) })
	}
}

// TestRobustnessOfTheHealthy does the same while nothing fails: then no
// revision may be left out.
func TestRobustnessOfTheHealthy(t *testing.T) {
	for name, splits := range robustSplits {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && len(splits) == 0 {
				t.Skip("eight shards are the harder case")
			}
			r := runRobust(t, splits, func(r *robust) { r.wait(*robustTime / 6) })
			rev := int64(1)
			for _, e := range r.collectors[0].events() {
				if e.mod > rev+1 {
					t.Errorf("%d follows %d", e.mod, rev)
				}
				rev = e.mod
			}
		})
	}
}

// runRobust has load as long as something happens to the cluster.
func runRobust(t *testing.T, splits []string, happens func(*robust)) *robust {
	t.Setenv("MIRUVOR_WATCH_PROGRESS_NOTIFY_INTERVAL", progressEvery)
	r := &robust{
		c: startCluster(t, splits...), keys: robustKeys(), begin: time.Now(), seed: *robustSeed,
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	collected, stopCollecting := context.WithCancel(t.Context())
	defer stopCollecting()
	var collectors, load sync.WaitGroup
	for i := range r.c.processes {
		client := r.client(i)
		w := r.newWatch(i, &watching{start: 1, prevKV: true, from: "\x00", to: "\x00"})
		r.collectors = append(r.collectors, w)
		collectors.Go(func() { r.follow(collected, client, w, r.rand(100+i)) })
		load.Go(func() { r.watchRandomly(ctx, i) })
	}
	for i := range robustClients {
		load.Go(func() { r.drive(ctx, i) })
	}
	load.Go(func() { r.compact(ctx) })
	happens(r)
	cancel()
	load.Wait()
	r.finish()
	stopCollecting()
	collectors.Wait()
	r.check()
	r.c.check()
	return r
}

// robust is a run: what was asked, and what was answered.
type robust struct {
	c     *cluster
	keys  []string
	begin time.Time
	seed  uint64
	// seen is the highest revision of any answer.
	seen atomic.Int64

	mu         sync.Mutex
	calls      []*call
	watches    []*watching
	collectors []*watching
	compacts   []*call
}

func (r *robust) now() time.Duration { return time.Since(r.begin) }

func (r *robust) rand(n int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(n))) }

// client speaks to some nodes, all if none is named.
func (r *robust) client(nodes ...int) *clientv3.Client {
	var endpoints []string
	for _, i := range nodes {
		endpoints = append(endpoints, r.c.processes[i].endpoint)
	}
	if len(nodes) == 0 {
		endpoints = r.c.endpoints()
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(),
		DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second,
		BackoffWaitBetween: 10 * time.Millisecond,
	})
	if err != nil {
		r.c.t.Fatal(err)
	}
	r.c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// harm kills and stops nodes for some time; all run when it returns.
func (r *robust) harm() {
	rng := r.rand(200)
	for end := time.Now().Add(*robustTime); time.Now().Before(end); {
		r.wait(time.Duration(500+rng.IntN(1500)) * time.Millisecond)
		victim := rng.IntN(len(r.c.processes))
		if rng.IntN(2) == 0 {
			victim = r.c.leader(0)
		}
		down := time.Duration(rng.IntN(1500)) * time.Millisecond
		switch rng.IntN(8) {
		case 0, 1, 2, 3:
			r.c.kill(victim)
			r.wait(down)
			r.c.start(victim)
		case 4, 5, 6:
			r.c.signal(victim, syscall.SIGSTOP)
			r.wait(500*time.Millisecond + down)
			r.c.signal(victim, syscall.SIGCONT)
		default:
			for i := range r.c.processes {
				r.c.kill(i)
			}
			for i := range r.c.processes {
				r.c.start(i)
			}
		}
		r.c.awaitReady(0, 1, 2)
	}
}

func (r *robust) wait(d time.Duration) { <-time.After(d) }

// finish writes once more and waits until the collectors have seen it.
func (r *robust) finish() {
	t := r.c.t
	client := r.client()
	var last int64
	await(t, "the last write", func(ctx context.Context) error {
		resp, err := client.Put(ctx, "z/end", "end")
		if err == nil {
			last = resp.Header.Revision
		}
		return err
	})
	r.record(&call{
		request: request{then: []action{{kind: kindPut, from: "z/end", value: "end"}}, plain: true},
		begin:   r.now() - robustPatience, end: r.now(), revision: last, succeeded: true,
		parts: []part{{}},
	})
	for _, w := range r.collectors {
		await(t, "a watch to see the last write", func(context.Context) error {
			if at := w.at.Load(); at < last {
				return fmt.Errorf("told up to %d of %d: %v, %s", at, last, w, w.failure())
			}
			return nil
		})
	}
}

// compact forgets the past now and then, but nothing that a collector needs.
func (r *robust) compact(ctx context.Context) {
	client, rng := r.client(), r.rand(300)
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		pause(ctx, tick)
		at := r.seen.Load()
		for _, w := range r.collectors {
			at = min(at, w.at.Load())
		}
		if at -= int64(rng.IntN(200)); at <= 1 {
			continue
		}
		r.issue(ctx, &call{request: request{kind: kindCompact, revision: at}}, client)
	}
}
