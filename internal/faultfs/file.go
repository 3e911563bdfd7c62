package faultfs

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is a file that meets the faults of its file system.
type file struct {
	vfs.File
	fs   *FS
	path string
	// position is that of Read and Write, which go through the file.
	position atomic.Int64
	// size is where writes begin to grow the file.
	size atomic.Int64
}

// wrap is for what opened name.
func (f *FS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(inner vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		info, err := inner.Stat()
		if err != nil {
			return nil, errors.Join(err, inner.Close())
		}
		opened := &file{File: inner, fs: f, path: name}
		opened.size.Store(info.Size())
		return opened, nil
	}
}

// Read implements vfs.File.
func (f *file) Read(p []byte) (int, error) {
	at := f.position.Load()
	flips, err := f.fs.meet("read", target{ops: Read, path: f.path, offset: at, length: len(p)})
	if err != nil {
		return 0, err
	}
	n, err := f.File.Read(p)
	f.position.Add(int64(n))
	f.fs.flip(flips, at, p[:n])
	return n, err
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	flips, err := f.fs.meet("read",
		target{ops: Read, path: f.path, offset: offset, length: len(p)})
	if err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(p, offset)
	f.fs.flip(flips, offset, p[:n])
	return n, err
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	p, err := f.write(p, f.position.Load())
	if err != nil {
		return 0, err
	}
	n, err := f.File.Write(p)
	f.grow(f.position.Add(int64(n)))
	return n, err
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	p, err := f.write(p, offset)
	if err != nil {
		return 0, err
	}
	n, err := f.File.WriteAt(p, offset)
	f.grow(offset + int64(n))
	return n, err
}

// write has a write meet the faults, and returns what is to be written.
func (f *file) write(p []byte, offset int64) ([]byte, error) {
	t := target{ops: Write, path: f.path, offset: offset, length: len(p)}
	if offset+int64(len(p)) > f.size.Load() {
		t.ops |= Grow
	}
	flips, err := f.fs.meet("write", t)
	if err != nil {
		return nil, err
	}
	if len(flips) > 0 {
		p = slices.Clone(p)
		f.fs.flip(flips, offset, p)
	}
	return p, nil
}

// grow notes that the file has bytes up to end.
func (f *file) grow(end int64) {
	for {
		size := f.size.Load()
		if end <= size || f.size.CompareAndSwap(size, end) {
			return
		}
	}
}

// Preallocate implements vfs.File.
func (f *file) Preallocate(offset, length int64) error {
	if _, err := f.fs.meet("fallocate", target{ops: Grow, path: f.path}); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	if err := f.sync("fsync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f *file) SyncData() error {
	if err := f.sync("fdatasync"); err != nil {
		return err
	}
	return f.File.SyncData()
}

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (fullSync bool, err error) {
	if err := f.sync("sync_file_range"); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}

func (f *file) sync(operation string) error {
	_, err := f.fs.meet(operation, target{ops: Sync, path: f.path})
	return err
}
