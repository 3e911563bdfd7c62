package pebble

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// events counts and logs what Pebble reports. It is Pebble's logger too.
type events struct {
	log     *slog.Logger
	onFlush func()

	slowWrites  atomic.Int64
	writeStalls atomic.Int64
	failures    atomic.Int64
	corruptions atomic.Int64
	// reclaims counts the spans that were compacted by hand.
	reclaims atomic.Int64
}

func newEvents(log *slog.Logger, onFlush func()) *events {
	if onFlush == nil {
		onFlush = func() {}
	}
	return &events{log: log, onFlush: onFlush}
}

// listener returns the hooks that Pebble calls. Some are called with its
// locks held, so they only count and log.
func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			e.failures.Add(1)
			e.log.Error("storage engine failed in the background", "err", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.corruptions.Add(1)
			e.log.Error("storage engine found corrupt data", "path", info.Path, "err", info.Details)
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
		FlushEnd: func(info pebble.FlushInfo) {
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
// after a failed fsync; it must not return.
func (e *events) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.log.Error("storage engine can't go on", "text", text)
	panic("storage engine: " + text)
}
