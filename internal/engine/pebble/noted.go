package pebble

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/miruvor/miruvor/internal/watermark"
)

const (
	manifestPrefix = "MANIFEST-"
	// noteName is the file that says how far the manifest was synced.
	noteName = "SYNCED"
)

// notingFS is the file system that Pebble sees. It notes how far manifests are
// synced: of the last record, the manifest itself can't tell a torn write from
// damage.
type notingFS struct {
	vfs.FS
	path string

	mu   sync.Mutex
	note *watermark.Note // nil until a manifest is synced
}

// Create implements vfs.FS.
func (n *notingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := n.FS.Create(name, category)
	number, ok := manifestNumber(n.PathBase(name))
	if err != nil || !ok {
		return f, err
	}
	return &notedFile{File: f, fs: n, number: number}, nil
}

// Unwrap implements vfs.FS.
func (n *notingFS) Unwrap() vfs.FS { return n.FS }

func (n *notingFS) set(m watermark.Mark) (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.note == nil {
		if n.note, err = watermark.Open(n.FS, n.path, m); err != nil {
			return err
		}
	}
	return n.note.Set(m)
}

func (n *notingFS) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.note == nil {
		return nil
	}
	note := n.note
	n.note = nil
	return note.Close()
}

// notedFile is a manifest that is written, by one goroutine at a time.
type notedFile struct {
	vfs.File
	fs     *notingFS
	number uint64
	size   int64
}

// Write implements vfs.File.
func (f *notedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

// Sync implements vfs.File.
func (f *notedFile) Sync() error {
	return f.noted(f.File.Sync())
}

// SyncData implements vfs.File.
func (f *notedFile) SyncData() error {
	return f.noted(f.File.SyncData())
}

func (f *notedFile) noted(err error) error {
	if err != nil {
		return err
	}
	return f.fs.set(watermark.Mark{File: f.number, End: f.size})
}

func manifestNumber(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, manifestPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}

// readNote returns how far a manifest was synced for certain, 0 if nobody knows. A note
// that is damaged says nothing; bad tells of it.
func readNote(files vfs.FS, dir, manifest string) (synced int64, bad, err error) {
	path := files.PathJoin(dir, noteName)
	m, err := watermark.Read(files, path)
	if errors.Is(err, watermark.ErrDamaged) {
		return 0, Damage{path, 0, err.Error()}, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the note of the manifest: %w", err)
	}
	if number, ok := manifestNumber(files.PathBase(manifest)); !ok || number != m.File {
		return 0, nil, nil // a crash came between two manifests
	}
	return m.End, nil, nil
}
