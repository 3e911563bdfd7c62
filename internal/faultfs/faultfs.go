package faultfs

import (
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system with faults. Its methods may be called at the same time.
type FS struct {
	vfs.FS
	faults atomic.Pointer[[]*Handle]

	mu  sync.Mutex // guards changes of faults, and rng
	rng *rand.Rand
}

// New makes a file system over inner, at first without faults. The seed decides
// what Percent and Flip leave open.
func New(inner vfs.FS, seed uint64) *FS {
	f := &FS{FS: inner, rng: rand.New(rand.NewPCG(seed, seed))}
	f.faults.Store(new([]*Handle))
	return f
}

// Inject adds a fault. If several strike one operation all delay it, and the
// first that was added decides about its error.
func (f *FS) Inject(fault Fault) *Handle {
	h := &Handle{fault: fault, lifted: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	faults := append(slices.Clone(*f.faults.Load()), h)
	f.faults.Store(&faults)
	return h
}

// Lift ends a fault. It does nothing for one that has been lifted.
func (f *FS) Lift(h *Handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	faults := slices.Clone(*f.faults.Load())
	at := slices.Index(faults, h)
	if at < 0 {
		return
	}
	faults = slices.Delete(faults, at, at+1)
	f.faults.Store(&faults)
	close(h.lifted)
}

// LiftAll ends all faults.
func (f *FS) LiftAll() {
	for _, h := range *f.faults.Load() {
		f.Lift(h)
	}
}

// Unwrap implements vfs.FS.
func (f *FS) Unwrap() vfs.FS { return f.FS }

func (f *FS) chance(percent int) bool {
	if percent <= 0 || percent >= 100 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.IntN(100) < percent
}

// meet has the operation meet the faults: it waits as long as they say, and
// returns the error that they give it, and those that change its data.
func (f *FS) meet(operation string, t target) (flips []*Handle, err error) {
	for _, h := range *f.faults.Load() {
		if !h.fault.aimsAt(t) || !f.chance(h.fault.Percent) || !h.strike() {
			continue
		}
		h.wait()
		if err == nil {
			err = h.failure(operation, t.path)
		}
		if h.fault.Flip != 0 {
			flips = append(flips, h)
		}
	}
	return flips, err
}

// flip changes data, which is that of a read or write at offset.
func (f *FS) flip(flips []*Handle, offset int64, data []byte) {
	if len(data) == 0 {
		return
	}
	for _, h := range flips {
		if h.fault.To > 0 {
			at := max(h.fault.From-offset, 0)
			if at < int64(len(data)) { // a read may end early
				data[at] ^= h.fault.Flip
			}
			continue
		}
		f.mu.Lock()
		at := f.rng.IntN(len(data))
		f.mu.Unlock()
		data[at] ^= h.fault.Flip
	}
}

// Create implements vfs.FS.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if _, err := f.meet("create", target{ops: Create, path: name}); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.Create(name, category))
}

// Open implements vfs.FS.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if _, err := f.meet("open", target{ops: Open, path: name}); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.Open(name, opts...))
}

// OpenReadWrite implements vfs.FS.
func (f *FS) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	if _, err := f.meet("open", target{ops: Open | Create, path: name}); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.OpenReadWrite(name, category, opts...))
}

// OpenDir implements vfs.FS.
func (f *FS) OpenDir(name string) (vfs.File, error) {
	if _, err := f.meet("open", target{ops: Open, path: name}); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.OpenDir(name))
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(
	from, to string, category vfs.DiskWriteCategory,
) (vfs.File, error) {
	if _, err := f.meet("rename", target{ops: Rename, path: from}); err != nil {
		return nil, err
	}
	return f.wrap(to)(f.FS.ReuseForWrite(from, to, category))
}

// Link implements vfs.FS.
func (f *FS) Link(from, to string) error {
	if _, err := f.meet("link", target{ops: Create, path: to}); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

// Rename implements vfs.FS.
func (f *FS) Rename(from, to string) error {
	if _, err := f.meet("rename", target{ops: Rename, path: from}); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	if _, err := f.meet("remove", target{ops: Remove, path: name}); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	if _, err := f.meet("remove", target{ops: Remove, path: name}); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

// MkdirAll implements vfs.FS. A directory that is there takes nothing.
func (f *FS) MkdirAll(dir string, perm os.FileMode) error {
	if _, err := f.Stat(dir); err == nil {
		return f.FS.MkdirAll(dir, perm)
	}
	if _, err := f.meet("mkdir", target{ops: Create, path: dir}); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir, perm)
}

// List implements vfs.FS.
func (f *FS) List(dir string) ([]string, error) {
	if _, err := f.meet("list", target{ops: Open, path: dir}); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}
