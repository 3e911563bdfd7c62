package nodetest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/history/drive"
)

var (
	robustSeed = flag.Uint64("robust-seed", 1, "what TestRobustness draws its choices from")
	robustTime = flag.Duration("robust-time", 6*time.Second,
		"how long TestRobustness has load; the healthy have it a sixth of that")
)

const (
	robustClients = 6
	// revisionsMin is how many revisions a run takes at least.
	revisionsMin  = 50
	progressEvery = "200ms"
)

// robustShards are how many shards there are in each test.
var robustShards = map[string]int{"1-shard": 1, "8-shards": 8}

// TestRobustness puts load on etcd's API of a cluster whose nodes die and
// stop, and holds what clients and watches were told against one history. With
// one shard no revision may be left out, as in an etcd.
func TestRobustness(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about 20 s")
	}
	for name, shards := range robustShards {
		t.Run(name, func(t *testing.T) {
			r := runRobust(t, shards, (*robust).harm)
			if shards == 1 { // which numbers itself
				r.dense()
			}
		})
	}
}

// TestRobustnessOfTheHealthy does the same while nothing fails: then no
// revision may be left out. On a busy machine leaders look dead at times, and what they
// were about to number is lost.
func TestRobustnessOfTheHealthy(t *testing.T) {
	for name, shards := range robustShards {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && shards == 1 {
				t.Skip("eight shards are the harder case")
			}
			r := runRobust(t, shards, func(r *robust) { r.wait(*robustTime / 6) })
			if shards > 1 && r.elections > 0 {
				t.Logf("%d elections, so revisions may be left out", r.elections)
				return
			}
			r.dense()
		})
	}
}

// dense checks that no revision was left out.
func (r *robust) dense() {
	last := int64(1)
	for _, rev := range r.history.Revisions() {
		if rev > last+1 {
			r.c.t.Errorf("%d follows %d", rev, last)
		}
		last = rev
	}
}

// runRobust has load as long as something happens to the cluster.
func runRobust(t *testing.T, shards int, happens func(*robust)) *robust {
	t.Setenv("MIRUVOR_WATCH_PROGRESS_NOTIFY_INTERVAL", progressEvery)
	r := &robust{
		c: startCluster(t, drive.Splits(shards)...), history: history.New(), seed: *robustSeed,
	}
	before := r.terms()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	witnessed, stopWitnesses := context.WithCancel(t.Context())
	defer stopWitnesses()
	var witnesses, load sync.WaitGroup
	nodes := r.eachNode()
	for i, to := range nodes {
		w, rng := r.history.Witness(i), r.rand(100+i)
		witnesses.Go(func() { to.Follow(witnessed, r.history, w, rng) })
		watcher := drive.Watcher{
			History: r.history, Targets: nodes, Node: i, Rng: r.rand(400 + i), FromNow: true,
		}
		load.Go(func() { watcher.Run(ctx) })
	}
	for i := range robustClients {
		load.Go(func() { r.client(i).Run(ctx) })
	}
	compactor := drive.Compactor{
		History: r.history, Target: r.target(), Rng: r.rand(300), Pause: 700 * time.Millisecond,
	}
	load.Go(func() { compactor.Run(ctx) })
	happens(r)
	await(t, "some load", func(context.Context) error {
		if seen := r.history.Seen(); seen < revisionsMin {
			return fmt.Errorf("only %d revisions", seen)
		}
		return nil
	})
	cancel()
	load.Wait()
	r.finish()
	r.elections = r.terms() - before
	stopWitnesses()
	witnesses.Wait()
	r.check()
	r.c.check()
	return r
}

// robust is a run: what was asked, and what was answered.
type robust struct {
	c       *cluster
	history *history.History
	seed    uint64
	// elections is how many terms began.
	elections uint64
}

// terms adds the terms of all shards up.
func (r *robust) terms() (sum uint64) {
	await(r.c.t, "the terms", func(ctx context.Context) error {
		st, err := r.c.client.Status(ctx)
		sum = 0
		for _, s := range st.Shards {
			sum += s.Term
		}
		return err
	})
	return sum
}

func (r *robust) rand(n int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(n))) }

// client is a client that speaks to one node, or every other one to all.
func (r *robust) client(id int) *drive.Client {
	to := r.target()
	if id%2 == 0 {
		to = r.target(id / 2)
	}
	return &drive.Client{
		History: r.history, Target: to, ID: id, Rng: r.rand(id), Pause: 8 * time.Millisecond,
	}
}

// target leads to some nodes, to all if none is named.
func (r *robust) target(nodes ...int) drive.Target {
	endpoints := r.c.endpoints()
	if len(nodes) > 0 {
		endpoints = nil
	}
	for _, i := range nodes {
		endpoints = append(endpoints, r.c.processes[i].endpoint)
	}
	to, err := drive.DialEtcd(endpoints)
	if err != nil {
		r.c.t.Fatal(err)
	}
	r.c.t.Cleanup(func() { _ = to.Client.Close() })
	return to
}

func (r *robust) eachNode() []drive.Target {
	var all []drive.Target
	for i := range r.c.processes {
		all = append(all, r.target(i))
	}
	return all
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

// finish writes once more and waits until the witnesses have seen it.
func (r *robust) finish() {
	t, to := r.c.t, r.target()
	var last *history.Call
	tries := 0
	await(t, "the last write", func(ctx context.Context) error {
		tries++
		last = drive.Mark("z/end", fmt.Sprint("end ", tries))
		drive.Issue(ctx, r.history, to, last)
		if last.Outcome != history.Answered {
			return fmt.Errorf("it was not answered: %s", last.Error)
		}
		return nil
	})
	for _, w := range r.history.Witnesses() {
		await(t, "a watch to see the last write", func(context.Context) error {
			if at := w.At(); at < last.Revision {
				return fmt.Errorf("told up to %d of %d: %v, %s", at, last.Revision, w, w.Failure())
			}
			return nil
		})
	}
}

func (r *robust) check() {
	t := r.c.t
	t.Helper()
	v := r.history.Judge()
	t.Logf("seed %d: %d calls, %d answered; %d revisions up to %d; %d watches told %d times",
		r.seed, v.Calls, v.Answered, v.Revisions, r.history.Seen(), v.Watches, v.Told)
	for i, problem := range v.Problems {
		if i == 12 {
			t.Errorf("and %d more", len(v.Problems)-i)
			break
		}
		t.Error(problem)
	}
	if v.Answered < revisionsMin || v.Revisions < revisionsMin/2 {
		t.Error("there was no load")
	}
}
