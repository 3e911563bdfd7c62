package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/miruvor/miruvor/internal/history"
)

const (
	// machinePause is how often the machine's disk is tried.
	machinePause = 250 * time.Millisecond
	// stallMin is what a page takes at least if the machine is to blame for what
	// takes long.
	stallMin = 300 * time.Millisecond
)

// machine watches the disk and the processors that nodes and tester share: when
// others keep them busy for seconds, no cluster on them recovers in time.
type machine struct {
	mu sync.Mutex
	// syncs are how long a page took to be durable, and when.
	syncs []syncTime
	// stalled is the time spent in those that took too long, and by which this
	// process woke up too late.
	stalled time.Duration
}

type syncTime struct{ at, took time.Duration }

// run writes a page to a file in dir again and again, until ctx ends.
func (m *machine) run(ctx context.Context, h *history.History, dir string) error {
	file, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	page := make([]byte, 4096)
	for ctx.Err() == nil {
		begin := h.Now()
		if _, err := file.WriteAt(page, 0); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
		synced := h.Now()
		wait(ctx, machinePause)
		m.add(begin, synced-begin, h.Now()-synced-machinePause)
	}
	return nil
}

// add takes how long a page took, and by how much the wake-up after it was late.
func (m *machine) add(at, took, late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs = append(m.syncs, syncTime{at, took})
	for _, lost := range []time.Duration{took, late} {
		if lost >= stallMin {
			m.stalled += lost
		}
	}
}

// lost is for how long the machine has stalled so far.
func (m *machine) lost() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stalled
}

// slowest is the longest that a page took.
func (m *machine) slowest() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	for _, s := range m.syncs {
		longest = max(longest, s.took)
	}
	return longest
}
