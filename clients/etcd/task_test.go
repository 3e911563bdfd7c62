package etcd

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// stepsHealthy is how often each task has to succeed while all is well.
	stepsHealthy = 20
	// stepsPerDeath is how often while a node is down, and again once it is back.
	stepsPerDeath = 5
	// afterFailure is the pause of a worker that failed.
	afterFailure = 50 * time.Millisecond
)

// task is what clients do again and again, and what must hold meanwhile.
type task struct {
	// workers do one step each, and go on after a step that failed.
	workers []func(context.Context) error
	// followers go on until their context ends.
	followers []func(context.Context)
	// check says in the end whether all is as it has to be.
	check func(context.Context)

	done, failed atomic.Int64
	lastFailure  atomic.Value
}

// tasks are made for a cluster and fail the test themselves.
var tasks = []struct {
	name string
	make func(context.Context, *testing.T, *cluster) *task
}{
	{"bank", newBank},
	{"mutex", newMutex},
	{"election", newElection},
	{"log", newLog},
	{"lease", newLease},
	{"ordering", newOrdering},
	{"patroni", newPatroni},
	{"apisix", newAPISIX},
}

// TestTasks runs every task while all is well.
func TestTasks(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		for _, made := range tasks {
			t.Run(made.name, func(t *testing.T) {
				ctx := testContext(t)
				crew := &crew{}
				crew.begin(ctx, t, made.name, made.make(ctx, t, c))
				crew.progress(ctx, t, stepsHealthy, "all is well")
				crew.end(ctx, t)
				for name, k := range crew.tasks {
					if n := k.failed.Load(); n > 0 {
						t.Errorf("%s failed %d times, last: %v", name, n, k.lastFailure.Load())
					}
				}
			})
		}
	})
}

// TestSurvival runs all tasks at once and kills one node after the other, as
// kill -9 does. A majority that is left goes on; a node that comes back takes
// part again.
func TestSurvival(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		if len(c.processes) == 0 {
			t.Skip("whose processes are not ours must not be killed")
		}
		ctx := testContext(t)
		crew := &crew{}
		for _, made := range tasks {
			crew.begin(ctx, t, made.name, made.make(ctx, t, c))
		}
		crew.progress(ctx, t, 1, "all is well")
		for i, p := range c.processes {
			p.kill()
			if len(c.processes) > 2 {
				crew.progress(ctx, t, stepsPerDeath, fmt.Sprintf("node %d is down", i+1))
			}
			if err := p.start(); err != nil {
				t.Fatal(err)
			}
			if err := c.awaitReady(); err != nil {
				t.Fatal(err)
			}
			crew.progress(ctx, t, stepsPerDeath, fmt.Sprintf("node %d is back", i+1))
		}
		crew.end(ctx, t)
	})
}

// crew runs tasks.
type crew struct {
	tasks map[string]*task
	group errgroup.Group
	stop  []context.CancelFunc
}

// begin starts a task.
func (c *crew) begin(ctx context.Context, t *testing.T, name string, k *task) {
	if c.tasks == nil {
		c.tasks = map[string]*task{}
	}
	c.tasks[name] = k
	working, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	c.stop = append(c.stop, stop)
	for _, follow := range k.followers {
		c.group.Go(func() error { follow(working); return nil })
	}
	for _, work := range k.workers {
		c.group.Go(func() error { k.repeat(working, work); return nil })
	}
}

// repeat does the step of a worker until the context ends.
func (k *task) repeat(ctx context.Context, work func(context.Context) error) {
	for ctx.Err() == nil {
		err := work(ctx)
		if err == nil {
			k.done.Add(1)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		k.failed.Add(1)
		k.lastFailure.Store(err.Error())
		pause(ctx, afterFailure)
	}
}

// pause waits unless the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// progress waits until each task has succeeded so often.
func (c *crew) progress(ctx context.Context, t *testing.T, steps int64, when string) {
	t.Helper()
	enough := map[string]int64{}
	for name, k := range c.tasks {
		enough[name] = k.done.Load() + steps
	}
	for name, k := range c.tasks {
		eventually(ctx, t, name+" while "+when, func() bool {
			return k.done.Load() >= enough[name] || t.Failed()
		})
	}
}

// end stops the tasks and checks what they left.
func (c *crew) end(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, stop := range c.stop {
		stop()
	}
	_ = c.group.Wait()
	for name, k := range c.tasks {
		t.Logf("%s: %d done, %d failed", name, k.done.Load(), k.failed.Load())
		if k.check != nil {
			k.check(ctx)
		}
	}
}
