package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// events counts and logs what Pebble reports. It is Pebble's logger too.
type events struct {
	log     *slog.Logger
	durable *durable
	onFlush func()
	// onFailure is told of the first failure alone.
	onFailure func(error)
	failed    sync.Once
	// closing says that failures are those of the end.
	closing atomic.Bool
	// stuck is closed when Pebble can't go on, for the reason that is in reason.
	stuck  chan struct{}
	reason error
	stop   sync.Once

	slowWrites  atomic.Int64
	writeStalls atomic.Int64
	failures    atomic.Int64
	corruptions atomic.Int64
	// reclaims counts the spans that were compacted by hand.
	reclaims atomic.Int64
}

func newEvents(opts *Options, d *durable) *events {
	ev := &events{
		durable: d, log: opts.Logger, onFlush: opts.OnFlush, onFailure: opts.OnFailure,
		stuck: make(chan struct{}),
	}
	if ev.onFlush == nil {
		ev.onFlush = func() {}
	}
	if ev.onFailure == nil {
		ev.onFailure = func(error) {}
	}
	return ev
}

// fail tells the owner that the engine can't be relied on any more.
func (e *events) fail(err error) {
	if e.closing.Load() {
		return
	}
	e.failed.Do(func() { e.onFailure(err) })
}

// listener returns the hooks that Pebble calls. Some are called with its
// locks held, so they only count and log.
func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			e.failures.Add(1)
			e.log.Error("storage engine failed in the background", "err", plain(err))
			if !errors.Is(err, syscall.ENOSPC) { // a compaction is done again
				e.fail(wrap(err, "work in the background"))
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.corruptions.Add(1)
			d := tableDamage(info.Path, info.Details)
			e.log.Error("storage engine found corrupt data",
				"file", d.File, "offset", d.Offset, "err", d.What)
			e.fail(d)
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			e.slowWrites.Add(1)
			e.log.Warn("disk is slow", "path", info.Path, "op", info.OpType, "took", info.Duration)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.writeStalls.Add(1)
			e.log.Warn("storage engine stalls writes", "reason", info.Reason)
		},
		WriteStallEnd: func() {
			e.log.Info("storage engine takes writes again")
		},
		LowDiskSpace: func(info pebble.LowDiskSpaceInfo) {
			e.log.Warn("disk space is low", "free_bytes", info.AvailBytes)
		},
		FlushBegin: func(pebble.FlushInfo) {
			e.durable.flushBegins()
		},
		FlushEnd: func(info pebble.FlushInfo) {
			e.durable.flushEnds()
			if errors.Is(info.Err, syscall.ENOSPC) {
				e.fail(wrap(info.Err, "flush"))
			}
			e.log.Debug("storage engine flushed", "bytes", info.InputBytes, "took", info.Duration)
			e.onFlush()
		},
	}
}

// Infof implements pebble.Logger.
func (e *events) Infof(format string, args ...any) {
	e.log.Debug("storage engine", "text", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (e *events) Errorf(format string, args ...any) {
	e.log.Error("storage engine", "text", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it where it can't go on, as
// after a failed sync of the manifest, and holds its locks. It must not return: who
// asks for more waits, until the process ends.
func (e *events) Fatalf(format string, args ...any) {
	err := fmt.Errorf("storage engine can't go on: %s", fmt.Sprintf(format, args...))
	e.log.Error("storage engine can't go on", "err", err)
	e.stop.Do(func() {
		e.reason = err
		close(e.stuck)
	})
	e.fail(err)
	select {}
}

// unlessStuck does something, and gives up on it when Pebble can't go on.
func (e *events) unlessStuck(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-e.stuck:
		return e.reason
	}
}
