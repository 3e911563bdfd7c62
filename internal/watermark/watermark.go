// Package watermark notes, in a file beside others, how far one of them is on stable
// storage. A file that is appended to can't tell a torn tail from an end that went
// bad: its last bytes are the only ones that say how long it was. With a note
// elsewhere both have to go bad at once.
//
//	append ─▶ sync ─▶ Set ─▶ "file 7 was synced up to 4096"
//
// The note itself is not synced: it survives a killed process, and after a power
// loss may be an older one, or none. So it is a lower bound, always.
//
// Invariants:
//
//  1. Set comes after the sync that it tells of has returned.
//  2. The note lies in one sector, so it is an old or a new one, never a mixture. One
//     that fails its checks is damage; nothing is lost with it.
package watermark

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Mark says that the first End bytes of a file, by its number, were on stable
// storage. The zero Mark says nothing.
type Mark struct {
	File uint64
	End  int64
	// Sum tells the file from others that had its number: a checksum of something in
	// its first End bytes, 0 for none.
	Sum uint32
}

// ErrDamaged means that a note fails its checks.
var ErrDamaged = errors.New("the note of what was synced fails its checks")

const (
	magic     = "MIRUMRK\n"
	noteBytes = 32
	category  = vfs.DiskWriteCategory("watermark")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m Mark) encode(b *[noteBytes]byte) {
	copy(b[:], magic)
	binary.LittleEndian.PutUint64(b[8:], m.File)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.End))
	binary.LittleEndian.PutUint32(b[24:], m.Sum)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
}

// Read returns what the note at path says, the zero Mark if there is none. It
// returns ErrDamaged for one that fails its checks.
func Read(files vfs.FS, path string) (Mark, error) {
	f, err := files.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("open %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, noteBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Mark{}, fmt.Errorf("read %s: %w", path, err)
	}
	return decode(data)
}

func decode(data []byte) (Mark, error) {
	if len(data) != noteBytes {
		return Mark{}, ErrDamaged
	}
	m := Mark{
		File: binary.LittleEndian.Uint64(data[8:]),
		End:  int64(binary.LittleEndian.Uint64(data[16:])),
		Sum:  binary.LittleEndian.Uint32(data[24:]),
	}
	var want [noteBytes]byte
	if m.encode(&want); want != [noteBytes]byte(data) {
		return Mark{}, ErrDamaged
	}
	return m, nil
}

// Note is a note that is kept up to date. One goroutine uses it at a time.
type Note struct {
	path string
	file vfs.File
	last Mark
	buf  [noteBytes]byte
}

// Open opens the note at path for Set, and makes one that says m if there is none
// that says anything. The caller syncs the directory.
func Open(files vfs.FS, path string, m Mark) (*Note, error) {
	n := &Note{path: path}
	last, err := Read(files, path)
	if err == nil && last != (Mark{}) {
		n.last = last
	} else if err = n.create(files, m); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	if n.file, err = files.OpenReadWrite(path, category); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return n, nil
}

// create writes the file so that a crash leaves all of it or nothing.
func (n *Note) create(files vfs.FS, m Mark) error {
	n.last = m
	m.encode(&n.buf)
	begun := n.path + ".new"
	f, err := files.Create(begun, category)
	if err != nil {
		return err
	}
	_, err = f.Write(n.buf[:])
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return files.Rename(begun, n.path)
}

// Set makes the note say m. It allocates nothing, and does not wait for the disk.
func (n *Note) Set(m Mark) error {
	if m == n.last {
		return nil
	}
	m.encode(&n.buf)
	if _, err := n.file.WriteAt(n.buf[:], 0); err != nil {
		return fmt.Errorf("write %s: %w", n.path, err)
	}
	n.last = m
	return nil
}

// Close closes the file.
func (n *Note) Close() error { return n.file.Close() }
