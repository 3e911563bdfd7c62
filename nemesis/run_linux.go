package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/miruvor/miruvor/internal/history"
	"github.com/miruvor/miruvor/internal/history/drive"
	"github.com/miruvor/miruvor/internal/node"
)

// run is a cluster, load on it, and a schedule of faults.
type run struct {
	config clusterConfig
	time   time.Duration
	pause  time.Duration
	// say is where it tells what it does.
	say io.Writer

	arena   *arena
	history *history.History
	load    *load
	sampler sampler
	machine machine

	// ended is when the load did.
	ended time.Duration
	// complete says that the witnesses have seen everything.
	complete bool

	mu       sync.Mutex
	done     []doneStep
	notes    []note
	problems []*history.Problem
}

// doneStep is a step that was done, and when.
type doneStep struct {
	step
	began, healed time.Duration
	// recovered is how long it took after that until all nodes served and each
	// shard could be written.
	recovered time.Duration
	// failed says that something happened that must not.
	failed bool
}

// note is something that was seen.
type note struct {
	at   time.Duration
	text string
}

func (r *run) fail(err error) {
	p := &history.Problem{At: r.history.Now(), Text: err.Error()}
	r.mu.Lock()
	r.problems = append(r.problems, p)
	r.mu.Unlock()
	r.observe("PROBLEM: %v", err)
}

func (r *run) observe(format string, args ...any) {
	n := note{r.history.Now(), fmt.Sprintf(format, args...)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, n)
	fmt.Fprintf(r.say, "%8.1fs  %s\n", n.at.Seconds(), n.text)
}

func (r *run) problemCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems)
}

// do has the cluster suffer for its time, and judges.
func (r *run) do(ctx context.Context) error {
	r.history = history.New()
	r.history.LeaseSlack = r.leaseSlack()
	cl, err := startCluster(r.config, func(p *process, err error) {
		r.fail(fmt.Errorf("%s has ended by itself: %w", p.name, err))
	})
	if err != nil {
		return err
	}
	r.arena = newArena(cl, r.history, r.observe)
	defer func() { _ = cl.close() }()
	if err := cl.awaitReady(ctx, readyMax); err != nil {
		return err
	}
	r.load = &load{cluster: cl, history: r.history, seed: r.config.seed, pause: r.pause}
	if err := r.load.start(ctx); err != nil {
		return err
	}
	r.observe("load begins")
	sampled, stopSampling := context.WithCancel(ctx)
	r.sampler = sampler{cluster: cl, history: r.history}
	var sampling sync.WaitGroup
	sampling.Go(func() { r.sampler.run(sampled) })
	sampling.Go(func() {
		if err := r.machine.run(sampled, r.history, r.config.dir); err != nil {
			r.fail(err)
		}
	})
	r.suffer(ctx)
	wait(ctx, time.Second) // some load on the healthy
	r.load.stop()
	r.ended = r.history.Now()
	r.finish(ctx)
	r.load.close()
	stopSampling()
	sampling.Wait()
	r.checkDirectories()
	return ctx.Err()
}

// leaseSlack is how much earlier a lease may end by the clocks that the schedule
// makes, in percent.
func (r *run) leaseSlack() int {
	if r.config.untrusted() {
		return 100 // clocks jump
	}
	return 6
}

// suffer goes through the schedule until its time is up.
func (r *run) suffer(ctx context.Context) {
	s := newSchedule(r.config)
	end := r.history.Now() + r.time
	for ctx.Err() == nil {
		st := s.next()
		if r.history.Now()+st.pause+st.length() > end {
			wait(ctx, end-r.history.Now())
			return
		}
		wait(ctx, st.pause)
		d := doneStep{step: st, began: r.history.Now()}
		before := r.problemCount()
		r.observe("%v", &st)
		r.inflict(ctx, &st)
		d.healed = r.history.Now()
		err := r.settle(ctx)
		d.recovered = r.history.Now() - d.healed
		r.mu.Lock()
		d.failed = err != nil || len(r.problems) > before
		r.done = append(r.done, d)
		r.mu.Unlock()
		if err != nil {
			if ctx.Err() == nil {
				r.fail(fmt.Errorf("after %v: %w", &st, err))
				r.dump()
			}
			return
		}
		r.observe("all is well again after %v", d.recovered.Round(time.Millisecond))
	}
}

// inflict does a step, from its beginning to its end.
func (r *run) inflict(ctx context.Context, st *step) {
	var both sync.WaitGroup
	for _, p := range []*planned{&st.first, st.second} {
		if p == nil {
			continue
		}
		both.Go(func() {
			wait(ctx, p.begin)
			if err := p.fault.begin(ctx, r.arena); err != nil {
				r.fail(fmt.Errorf("%v: %w", p, err))
			}
			wait(ctx, p.end-p.begin)
			if err := p.fault.end(context.WithoutCancel(ctx), r.arena); err != nil {
				r.fail(fmt.Errorf("end of %v: %w", p, err))
			}
		})
	}
	both.Wait()
}

// settleMax is how long a cluster may take to recover once nothing is wrong with
// it any more, not counting the time in which the machine stalls.
const settleMax = 30 * time.Second

// patience is a context that ends after a time in which the machine works.
func (r *run) patience(
	ctx context.Context, limit time.Duration,
) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	begin, lost := r.history.Now(), r.machine.lost()
	go func() {
		for ctx.Err() == nil && r.history.Now()-begin < limit+r.machine.lost()-lost {
			wait(ctx, 100*time.Millisecond)
		}
		cancel()
	}()
	return ctx, cancel
}

// revivePause is how long a node that has ended by itself is left alone once it was
// started again.
const revivePause = time.Second

// settle waits until all nodes serve and every shard can be written.
func (r *run) settle(ctx context.Context) error {
	ctx, cancel := r.patience(ctx, settleMax)
	defer cancel()
	for i, p := range r.arena.nodes {
		for why := r.arena.unready(ctx, i); why != nil; why = r.arena.unready(ctx, i) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s is not ready: %w", p.name, why)
			}
			if !p.running() {
				r.observe("%s is started again", p.name)
				if err := r.arena.revive(i, 0); err != nil {
					return err
				}
				wait(ctx, revivePause)
			}
			wait(ctx, 20*time.Millisecond)
		}
	}
	to := drive.Store{Store: r.arena.everybody}
	for i, key := range append([]string{""}, r.config.splitAt...) {
		for n := 0; ; n++ {
			c := drive.Mark(key+"~probe", fmt.Sprintf("probe %v %d.%d", r.history.Now(), i, n))
			drive.Issue(ctx, r.history, to, c)
			if c.Outcome == history.Answered {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("shard %d can't be written: %s", i+1, c.Error)
			}
			wait(ctx, 20*time.Millisecond)
		}
	}
	return nil
}

// dump has all nodes say what their goroutines do.
func (r *run) dump() {
	for _, p := range r.arena.nodes {
		p.excuse(true)
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGABRT)
	}
	r.observe("the logs end with the stacks of all nodes")
}

// witnessMax is how long witnesses may take to hear of the last write.
const witnessMax = 30 * time.Second

// lateMax is how long after its time a lease may end.
const lateMax = 10 * time.Second

// awaitLeases waits until all leases have ended that nobody keeps alive any more.
func (r *run) awaitLeases(ctx context.Context) {
	ctx, cancel := r.patience(ctx, drive.LeaseMax+lateMax)
	defer cancel()
	to, left := drive.Store{Store: r.arena.everybody}, []string{"they can't be read"}
	for {
		c := drive.Look()
		drive.Issue(ctx, r.history, to, c)
		if c.Outcome == history.Answered {
			left = c.Leased()
		}
		switch {
		case len(left) == 0:
			return
		case ctx.Err() != nil:
			r.fail(fmt.Errorf("leases of keys don't end after their time: %q", left))
			return
		}
		wait(ctx, 200*time.Millisecond)
	}
}

// finish writes once more, and waits until all witnesses have seen it.
func (r *run) finish(ctx context.Context) {
	if err := r.settle(ctx); err != nil {
		r.fail(err)
		return
	}
	r.complete = true
	r.awaitLeases(ctx)
	last := r.history.Seen()
	ctx, cancel := r.patience(ctx, witnessMax)
	defer cancel()
	for _, w := range r.history.Witnesses() {
		for w.At() < last && ctx.Err() == nil {
			wait(ctx, 20*time.Millisecond)
		}
		if at := w.At(); at < last {
			r.complete = false
			r.fail(fmt.Errorf("a watch was told up to %d of %d: %v %s", at, last, w, w.Failure()))
		}
	}
}

// checkDirectories stops all nodes, and looks at every byte that they stored.
func (r *run) checkDirectories() {
	for _, p := range r.arena.nodes {
		hung := time.AfterFunc(stopMax, func() { p.signal(syscall.SIGABRT) })
		p.end(syscall.SIGTERM)
		if !hung.Stop() {
			r.fail(fmt.Errorf("%s did not stop within %v", p.name, stopMax))
		}
		found, err := node.Check(p.dir, nil)
		for _, problem := range found {
			err = errors.Join(err, fmt.Errorf("%v", problem))
		}
		if err != nil {
			r.fail(fmt.Errorf("check of %s: %w", p.name, err))
		}
	}
}

// writeHistory writes what clients and watches were told.
func (r *run) writeHistory() error {
	file, err := os.Create(filepath.Join(r.config.dir, "history.jsonl.gz"))
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(file)
	return errors.Join(r.history.Write(packed), packed.Close(), file.Close())
}
