package pebble

import (
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableSum is what tells a table from all others.
type tableSum struct {
	size int64
	// whole is the checksum of all bytes, 0 if nobody knows; tail is that of the last
	// tailBytes, where a table has its index and its properties.
	whole, tail uint32
}

const tailBytes = 4 << 10

// matches compares a file with a sum: all of it, or its size and end.
func (s tableSum) matches(f vfs.File, all bool) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() != s.size {
		return false, err
	}
	from, want := max(0, s.size-tailBytes), s.tail
	if all && s.whole != 0 {
		from, want = 0, s.whole
	}
	h := crc32.New(castagnoli)
	_, err = io.CopyBuffer(h, io.NewSectionReader(f, from, s.size-from), make([]byte, 256<<10))
	return h.Sum32() == want, err
}

// sumOf is the sum of a file as it is, of its end alone if it is larger than most.
func sumOf(f vfs.File, size, most int64) (tableSum, error) {
	var m measure
	from := int64(0)
	if size > most {
		from = max(0, size-tailBytes)
	}
	_, err := io.CopyBuffer(&m, io.NewSectionReader(f, from, size-from), make([]byte, 256<<10))
	sum := m.sum()
	if sum.size = size; from > 0 {
		sum.whole = 0
	}
	return sum, err
}

// measure makes the sum of a table that is written to it.
type measure struct {
	size  int64
	whole uint32
	tail  []byte
}

// Write implements io.Writer.
func (m *measure) Write(p []byte) (int, error) {
	m.size += int64(len(p))
	m.whole = crc32.Update(m.whole, castagnoli, p)
	last := p[max(0, len(p)-tailBytes):]
	old := max(0, len(m.tail)+len(last)-tailBytes)
	m.tail = append(m.tail[:copy(m.tail, m.tail[min(old, len(m.tail)):])], last...)
	return len(p), nil
}

func (m *measure) sum() tableSum {
	return tableSum{m.size, m.whole, crc32.Checksum(m.tail, castagnoli)}
}

// tableFile is a table that is written, by one goroutine.
type tableFile struct {
	vfs.File
	measure measure
	// synced is how much is on stable storage.
	synced int64
	// torn says that a write failed, of which a part may be there.
	torn bool
	// done is told the sum once all is.
	done func(tableSum) error
}

// Write implements vfs.File. The bytes are summed up first: files may change them.
func (f *tableFile) Write(p []byte) (int, error) {
	_, _ = f.measure.Write(p)
	n, err := f.File.Write(p)
	f.torn = f.torn || err != nil
	return n, err
}

// Sync implements vfs.File.
func (f *tableFile) Sync() error { return f.syncedBy(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *tableFile) SyncData() error { return f.syncedBy(f.File.SyncData()) }

func (f *tableFile) syncedBy(err error) error {
	if err == nil {
		f.synced = f.measure.size
	}
	return err
}

// Close implements vfs.File.
func (f *tableFile) Close() error {
	err := f.File.Close()
	if err != nil || f.torn || f.synced == 0 || f.synced != f.measure.size {
		return err // it was given up
	}
	return f.done(f.measure.sum())
}
