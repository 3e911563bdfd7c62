package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// kill kills nodes, and starts them again at the end.
type kill struct {
	victims []victim
	// epoch is how many seconds ahead the clock is when they come back.
	epoch int64
}

func (k kill) String() string {
	text := "kill " + names(k.victims)
	if k.epoch != 0 {
		text += fmt.Sprintf(" (back with clocks %d s ahead)", k.epoch)
	}
	return text
}

func names(victims []victim) string {
	var list []string
	for _, v := range victims {
		list = append(list, v.String())
	}
	return strings.Join(list, ", ")
}

func (k kill) begin(ctx context.Context, a *arena) error {
	for _, node := range a.find(ctx, k.victims) {
		a.nodes[node].end(syscall.SIGKILL)
	}
	return nil
}

func (k kill) end(_ context.Context, a *arena) error {
	var errs []error
	for i, p := range a.nodes {
		if !p.running() {
			errs = append(errs, a.revive(i, k.epoch))
		}
	}
	return errors.Join(errs...)
}

// find are the indexes of victims, each once.
func (a *arena) find(ctx context.Context, victims []victim) []int {
	var list []int
	seen := map[int]bool{}
	for _, v := range victims {
		if node := v.find(ctx, a); !seen[node] {
			seen[node] = true
			list = append(list, node)
			if v.leads {
				a.observe("%v is %s", v, a.nodes[node].name)
			}
		}
	}
	return list
}

// restartAll kills all nodes at once and starts them at once.
type restartAll struct{}

func (restartAll) String() string { return "kill and start all at once" }

func (restartAll) begin(_ context.Context, a *arena) error {
	var ended sync.WaitGroup
	for _, p := range a.nodes {
		ended.Go(func() { p.end(syscall.SIGKILL) })
	}
	ended.Wait()
	return nil
}

func (restartAll) end(ctx context.Context, a *arena) error { return kill{}.end(ctx, a) }

const (
	// stopMax is how long a node may need to stop when it is asked to, and
	// readyMax until it serves again.
	stopMax  = 20 * time.Second
	readyMax = 30 * time.Second
)

// rollingRestart asks one node after the other to stop, and starts it again.
type rollingRestart struct{}

func (rollingRestart) String() string { return "restart one after the other" }

func (rollingRestart) begin(ctx context.Context, a *arena) error {
	for i, p := range a.nodes {
		if ctx.Err() != nil {
			return nil
		}
		begin := time.Now()
		hung := time.AfterFunc(stopMax, func() { p.signal(syscall.SIGABRT) })
		p.end(syscall.SIGTERM)
		if !hung.Stop() {
			return fmt.Errorf("%s did not stop within %v", p.name, stopMax)
		}
		a.observe("%s stopped within %v", p.name, time.Since(begin).Round(time.Millisecond))
		if err := a.revive(i, 0); err != nil {
			return err
		}
		if err := a.awaitReady(ctx, readyMax); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (rollingRestart) end(context.Context, *arena) error { return nil }

// stop stops processes, so that they lose time, and lets them go on.
type stop struct{ victims []victim }

func (s stop) String() string { return "SIGSTOP " + names(s.victims) }

func (s stop) begin(ctx context.Context, a *arena) error {
	for _, node := range a.find(ctx, s.victims) {
		a.nodes[node].signal(syscall.SIGSTOP)
	}
	return nil
}

// end wakes all: a process that runs does not mind.
func (s stop) end(_ context.Context, a *arena) error {
	for _, p := range a.nodes {
		p.signal(syscall.SIGCONT)
	}
	return nil
}

// wipe kills a node and takes its directory away.
type wipe struct{ node int }

func (w wipe) String() string { return fmt.Sprintf("kill n%d and lose its directory", w.node+1) }

func (w wipe) begin(_ context.Context, a *arena) error {
	p := a.nodes[w.node]
	p.end(syscall.SIGKILL)
	return p.forget()
}

func (w wipe) end(_ context.Context, a *arena) error { return a.revive(w.node, 0) }

// forget empties the directory of a process that does not run.
func (p *process) forget() error {
	entries, err := os.ReadDir(p.dir) // which may be a mount
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(p.dir, e.Name())))
	}
	return err
}
