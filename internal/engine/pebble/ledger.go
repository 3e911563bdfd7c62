package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A block of a table has a checksum, but nothing says which table it belongs to: two
// tables of one size exchanged, or blocks exchanged at their exact bounds, would pass
// all checks of Pebble. So the ledger, a file beside the tables, has a line for each of
// them.
//
//	write table ─▶ sync it ─▶ line in the ledger ─▶ sync the ledger ─▶ line in the manifest
//
// A line is 32 bytes, little-endian: number of the table, its size, the checksums of
// all of it and of its end, a magic number, a checksum of the line. Of a number the last
// one counts; one with size 0 says nothing.
const (
	ledgerName = "TABLES"
	lineBytes  = 32

	lineMagic uint32 = 0x4c54524d
)

// ledger knows the tables. All methods may be called at any time.
type ledger struct {
	fs   vfs.FS
	path string

	// found says that there was a file, and flawed that some of it were no lines.
	found, flawed bool

	mu       sync.Mutex
	sums     map[uint64]tableSum
	exists   bool
	file     vfs.File // nil until something is written
	end      int64
	unsynced bool
	// fresh are the tables that were noted since the file was read; nil once it was
	// rewritten.
	fresh map[uint64]bool
}

// readLedger reads the ledger of a directory, in which there may be none.
func readLedger(files vfs.FS, dir string) (*ledger, error) {
	l := &ledger{
		fs: files, path: files.PathJoin(dir, ledgerName),
		sums: map[uint64]tableSum{}, fresh: map[uint64]bool{},
	}
	data, err := readFile(files, l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.path, err)
	}
	l.found, l.exists, l.flawed = true, true, len(data)%lineBytes != 0
	for ; len(data) >= lineBytes; data = data[lineBytes:] {
		number, sum, ok := decodeLine(data[:lineBytes])
		if !ok {
			l.flawed = true
			continue
		}
		l.set(number, sum)
	}
	return l, nil
}

func (l *ledger) set(number uint64, sum tableSum) {
	if sum.size == 0 {
		delete(l.sums, number)
		return
	}
	l.sums[number] = sum
}

// get is what is known of a table.
func (l *ledger) get(number uint64) (tableSum, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, ok := l.sums[number]
	return sum, ok
}

// numbers are the tables that it knows, the newest first.
func (l *ledger) numbers() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Sorted(maps.Keys(l.sums))
	slices.Reverse(list)
	return list
}

// note adds a line. It is not synced.
func (l *ledger) note(number uint64, sum tableSum) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return fmt.Errorf("open %s: %w", l.path, err)
	}
	line := encodeLine(number, sum)
	if _, err := l.file.WriteAt(line[:], l.end); err != nil {
		return fmt.Errorf("write %s: %w", l.path, err)
	}
	l.end += lineBytes
	l.unsynced = true
	l.set(number, sum)
	if l.fresh != nil {
		l.fresh[number] = true
	}
	return nil
}

// free makes sure that a number which is used anew is not taken for an old table.
func (l *ledger) free(number uint64) error {
	if _, ok := l.get(number); !ok {
		return nil
	}
	if err := l.note(number, tableSum{}); err != nil {
		return err
	}
	return l.sync()
}

// forget drops a table that is gone. Its line stays for now.
func (l *ledger) forget(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sums, number)
}

// open opens the file for lines at its end.
func (l *ledger) open() error {
	if l.file != nil {
		return nil
	}
	if !l.exists {
		if err := l.replace(nil); err != nil {
			return err
		}
	}
	f, err := l.fs.OpenReadWrite(l.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.end = f, info.Size()/lineBytes*lineBytes
	return nil
}

// replace makes a new file so that a crash leaves the old one or this.
func (l *ledger) replace(lines []byte) error {
	begun := l.path + ".new"
	f, err := l.fs.Create(begun, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	l.exists, l.unsynced = true, false
	return l.fs.Rename(begun, l.path)
}

// rewrite makes the ledger list these tables, those that were noted meanwhile, and no
// other. It is called once.
func (l *ledger) rewrite(sums map[uint64]tableSum) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number := range l.fresh {
		if sum, ok := l.sums[number]; ok {
			sums[number] = sum
		}
	}
	var lines []byte
	for _, number := range slices.Sorted(maps.Keys(sums)) {
		line := encodeLine(number, sums[number])
		lines = append(lines, line[:]...)
	}
	err := l.closeFile()
	if err == nil {
		err = l.replace(lines)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", l.path, err)
	}
	l.sums, l.fresh = sums, nil
	return nil
}

// sync makes all lines durable.
func (l *ledger) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.unsynced {
		return nil
	}
	if err := l.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", l.path, err)
	}
	l.unsynced = false
	return nil
}

func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeFile()
}

func (l *ledger) closeFile() error {
	file := l.file
	l.file = nil
	if file == nil {
		return nil
	}
	return file.Close()
}

func encodeLine(number uint64, s tableSum) (b [lineBytes]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], number)
	le.PutUint64(b[8:], uint64(s.size))
	le.PutUint32(b[16:], s.whole)
	le.PutUint32(b[20:], s.tail)
	le.PutUint32(b[24:], lineMagic)
	le.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}

func decodeLine(b []byte) (number uint64, s tableSum, ok bool) {
	le := binary.LittleEndian
	s.size = int64(le.Uint64(b[8:]))
	s.whole, s.tail = le.Uint32(b[16:]), le.Uint32(b[20:])
	ok = le.Uint32(b[24:]) == lineMagic && s.size >= 0 &&
		crc32.Checksum(b[:28], castagnoli) == le.Uint32(b[28:])
	return le.Uint64(b), s, ok
}

// tableNumber is the number of a table, by the name of its file.
func tableNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".sst")
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}
