package faultfs

import (
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Ops is a set of operations.
type Ops uint16

const (
	// Open is opening what exists, and listing a directory.
	Open Ops = 1 << iota
	// Create is making a file, a directory or a link, and opening a file for
	// writing.
	Create
	// Remove is removing files and directories.
	Remove
	// Rename is giving a file another name. It is the old name that counts.
	Rename
	// Read is reading a file.
	Read
	// Write is writing a file.
	Write
	// Grow is those writes that make the file longer, and allocations.
	Grow
	// Sync is all that makes data or names durable: fsync, fdatasync, and
	// sync_file_range; of directories, too.
	Sync
)

const (
	// Space is all that takes room on a disk: what fails if that is full.
	Space = Create | Grow
	// All is everything.
	All = Open | Create | Remove | Rename | Read | Write | Grow | Sync
)

// Fault says what goes wrong, where and how often. The zero value does nothing.
type Fault struct {
	// Ops are the operations that it strikes.
	Ops Ops `json:"ops"`
	// Files must be a part of the path, as "/log/", ".sst" or "engine/CURRENT".
	// "" is every file.
	Files string `json:"files,omitempty"`
	// From and To limit it to reads and writes that touch the bytes [From, To) of
	// the file. To is 0 for no limit.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
	// Percent is how many of the operations it strikes; 0 is all of them.
	Percent int `json:"percent,omitempty"`
	// Times is how many operations it strikes at most; 0 is no limit.
	Times int64 `json:"times,omitempty"`

	// Delay comes before the operation, in nanoseconds.
	Delay time.Duration `json:"delay,omitempty"`
	// Errno is the error of the operation, which is not done then: syscall.EIO or
	// syscall.ENOSPC. 0 lets it be done.
	Errno syscall.Errno `json:"errno,omitempty"`
	// Flip is the bits that are changed in one byte of what is read or written:
	// the first from From on that the operation has, any of them without a limit.
	Flip byte `json:"flip,omitempty"`
}

// Handle is a fault at work.
type Handle struct {
	fault  Fault
	lifted chan struct{}
	hits   atomic.Int64
	// taken counts towards Times, beyond which it goes on.
	taken atomic.Int64
}

// Hits is the number of operations that the fault has struck.
func (h *Handle) Hits() int64 { return h.hits.Load() }

// target is an operation under way: on which file, and for reads and writes on
// which of its bytes.
type target struct {
	ops    Ops
	path   string
	offset int64
	length int
}

// aimsAt reports whether the fault is about the operation, chance aside.
func (f *Fault) aimsAt(t target) bool {
	if f.Ops&t.ops == 0 || !strings.Contains(t.path, f.Files) {
		return false
	}
	if f.To == 0 || t.ops&(Read|Write) == 0 {
		return true
	}
	return t.offset < f.To && t.offset+int64(t.length) > f.From
}

// strike reports whether the fault hits this time.
func (h *Handle) strike() bool {
	if h.fault.Times > 0 && h.taken.Add(1) > h.fault.Times {
		return false
	}
	h.hits.Add(1)
	return true
}

// wait holds the caller up for the fault's delay.
func (h *Handle) wait() {
	if h.fault.Delay <= 0 {
		return
	}
	timer := time.NewTimer(h.fault.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.lifted:
	}
}

func (h *Handle) failure(operation, path string) error {
	if h.fault.Errno == 0 {
		return nil
	}
	return &fs.PathError{Op: operation, Path: path, Err: h.fault.Errno}
}
