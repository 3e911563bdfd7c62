package pebble

import (
	"errors"
	"fmt"
	"hash/crc32"
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

// notingFS is the file system that Pebble sees. It notes how far manifests are synced,
// of which the last record can't tell a torn write from damage, and which tables
// were written.
type notingFS struct {
	vfs.FS
	path   string
	ledger *ledger

	mu   sync.Mutex
	note *watermark.Note // nil until a manifest is synced
	// unnamed are the tables that have no number yet, by path.
	unnamed map[string]tableSum
}

func newNotingFS(files vfs.FS, dir string, l *ledger) *notingFS {
	return &notingFS{
		FS: files, path: files.PathJoin(dir, noteName), ledger: l,
		unnamed: map[string]tableSum{},
	}
}

// Create implements vfs.FS.
func (n *notingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	base := n.PathBase(name)
	number, numbered := tableNumber(base)
	if numbered {
		if err := n.ledger.free(number); err != nil {
			return nil, err
		}
	}
	f, err := n.FS.Create(name, category)
	if err != nil {
		return f, err
	}
	switch manifest, ok := manifestNumber(base); {
	case ok:
		return &notedFile{File: f, fs: n, mark: watermark.Mark{File: manifest}}, nil
	case numbered:
		return &tableFile{File: f, done: func(sum tableSum) error {
			return n.ledger.note(number, sum)
		}}, nil
	case strings.HasSuffix(base, ".sst"):
		return &tableFile{File: f, done: func(sum tableSum) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.unnamed[name] = sum
			return nil
		}}, nil
	}
	return f, nil
}

// Link implements vfs.FS. It is how a table of an ingest gets its number.
func (n *notingFS) Link(oldname, newname string) error {
	n.mu.Lock()
	sum, known := n.unnamed[oldname]
	n.mu.Unlock()
	number, ok := tableNumber(n.PathBase(newname))
	if ok {
		if err := n.ledger.free(number); err != nil {
			return err
		}
	}
	if err := n.FS.Link(oldname, newname); err != nil || !ok || !known {
		return err
	}
	return n.ledger.note(number, sum)
}

// Remove implements vfs.FS.
func (n *notingFS) Remove(name string) error {
	err := n.FS.Remove(name)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return err
	}
	if number, ok := tableNumber(n.PathBase(name)); ok {
		n.ledger.forget(number)
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.unnamed, name)
	return nil
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
	err := n.ledger.close()
	if n.note == nil {
		return err
	}
	note := n.note
	n.note = nil
	return errors.Join(err, note.Close())
}

// notedFile is a manifest that is written, by one goroutine at a time. It must not know
// of tables that the ledger does not, whatever a crash leaves.
type notedFile struct {
	vfs.File
	fs *notingFS
	// mark is what is true once all is synced, unless a write failed, of which a part
	// may be there.
	mark watermark.Mark
	torn bool
}

// Write implements vfs.File. The bytes are summed up first: files may change them.
func (f *notedFile) Write(p []byte) (int, error) {
	if err := f.fs.ledger.sync(); err != nil {
		return 0, err
	}
	f.mark.End += int64(len(p))
	f.mark.Sum = crc32.Update(f.mark.Sum, castagnoli, p)
	n, err := f.File.Write(p)
	f.torn = f.torn || err != nil
	return n, err
}

// Sync implements vfs.File.
func (f *notedFile) Sync() error { return f.noted(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *notedFile) SyncData() error { return f.noted(f.File.SyncData()) }

func (f *notedFile) noted(err error) error {
	if err != nil || f.torn {
		return err
	}
	return f.fs.set(f.mark)
}

func manifestNumber(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, manifestPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}

// readNote returns what was synced of a manifest for certain, the zero Mark if nobody
// knows. A note that is damaged says nothing; bad tells of it.
func readNote(files vfs.FS, dir, manifest string) (synced watermark.Mark, bad, err error) {
	path := files.PathJoin(dir, noteName)
	m, err := watermark.Read(files, path)
	if errors.Is(err, watermark.ErrDamaged) {
		return m, Damage{path, 0, err.Error()}, nil
	}
	if err != nil {
		return m, nil, fmt.Errorf("read the note of the manifest: %w", err)
	}
	if number, ok := manifestNumber(files.PathBase(manifest)); !ok || number != m.File {
		return watermark.Mark{}, nil, nil // a crash came between two manifests
	}
	return m, nil, nil
}
