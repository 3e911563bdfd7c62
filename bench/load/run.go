package load

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stopMax is the longest that calls under way may take once a run stops.
const stopMax = 30 * time.Second

// A Client puts load on one cluster. It is for one caller, one run at a time.
type Client interface {
	// Fill puts all keys once.
	Fill(s *Shape) error
	// Run asks as w says until the window is over, and for as long as calls are under way then.
	Run(w *Workload, s *Shape, window Window) (*Result, error)
	Close() error
}

// A Window is the part of a run that counts: Length, after a Warmup. Begin and End are called as it
// opens and closes.
type Window struct {
	Warmup time.Duration
	Length time.Duration
	Begin  func() error
	End    func() error
}

// Result is what was counted in the window.
type Result struct {
	Count     int64
	Elapsed   time.Duration
	Latency   Histogram
	ClientCPU time.Duration // user and system time of this process
}

// run is what the clients of a run share.
type run struct {
	recording atomic.Bool
	stopping  atomic.Bool
	failed    chan error // the first failure
	clients   sync.WaitGroup
}

func newRun() *run {
	return &run{failed: make(chan error, 1)}
}

func (r *run) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// measure lets the window pass, while clients run, and stops them.
func (r *run) measure(w Window, result *Result) error {
	if err := r.wait(w.Warmup); err != nil {
		return err
	}
	if err := w.Begin(); err != nil {
		return err
	}
	cpu, start := ownCPU(), time.Now()
	r.recording.Store(true)
	err := r.wait(w.Length)
	r.recording.Store(false)
	result.Elapsed, result.ClientCPU = time.Since(start), ownCPU()-cpu
	if err != nil {
		return err
	}
	if err := w.End(); err != nil {
		return err
	}
	return r.stop()
}

func (r *run) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-r.failed:
		return err
	case <-timer.C:
		return nil
	}
}

// stop waits for the calls under way.
func (r *run) stop() error {
	r.stopping.Store(true)
	stopped := make(chan struct{})
	go func() {
		r.clients.Wait()
		close(stopped)
	}()
	timer := time.NewTimer(stopMax)
	defer timer.Stop()
	select {
	case err := <-r.failed:
		return err
	case <-timer.C:
		return fmt.Errorf("load: calls without an answer for %v", stopMax)
	case <-stopped:
	}
	select {
	case err := <-r.failed:
		return err
	default:
		return nil
	}
}

// ownCPU is the user and system time of this process.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
