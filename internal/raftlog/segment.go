package raftlog

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	segmentSuffix = ".log"
	spareSuffix   = ".free"

	// diskCategory names the log's writes to the file system.
	diskCategory vfs.DiskWriteCategory = "raft-log"

	// fillBytes is how far ahead a new segment is filled with zeros at a
	// time: a sync of bytes that exist already needs no metadata.
	fillBytes = 1 << 20
)

// segment is one file of the log. Pins are touched by the log's one writer
// only; refs by readers.
type segment struct {
	head segmentHeader
	seed uint32
	path string
	file vfs.File
	// capacity is how large the file may become, filled how large it is.
	capacity, filled int64
	// end is where the next batch goes.
	end int64
	// pins counts what a recovery would need of this segment: runs,
	// positions and hard states. liveBytes is the size of the runs.
	pins      int
	liveBytes int64
	// marker is room for one, so that a sync allocates nothing.
	marker [batchHeaderBytes]byte
	// refs counts readers that took a place here out of a group's index.
	refs atomic.Int32
}

func (s *segment) pin(bytes uint32) {
	s.pins++
	s.liveBytes += int64(bytes)
}

func (s *segment) unpin(bytes uint32) {
	s.pins--
	s.liveBytes -= int64(bytes)
	if s.pins < 0 {
		panic(fmt.Sprintf("raftlog: %s is unpinned more often than pinned", s.path))
	}
}

func (s *segment) pinState()   { s.pin(0) }
func (s *segment) unpinState() { s.unpin(0) }

// close closes the file, if it is open.
func (s *segment) close() error {
	file := s.file
	s.file = nil
	if file == nil {
		return nil
	}
	return file.Close()
}

// readAt reads [offset, offset+length) of the file.
func (s *segment) readAt(offset, length int64) ([]byte, error) {
	buf := make([]byte, length)
	if _, err := s.file.ReadAt(buf, offset); err != nil {
		return nil, fmt.Errorf("read raft log %s at offset %d: %w", s.path, offset, err)
	}
	return buf, nil
}

// fill makes sure that the file holds zeros, or old bytes, up to offset.
func (s *segment) fill(offset int64) error {
	if offset <= s.filled {
		return nil
	}
	goal := min(s.capacity, (offset+fillBytes-1)/fillBytes*fillBytes)
	goal = max(goal, offset)
	zeros := make([]byte, min(goal-s.filled, fillBytes))
	for s.filled < goal {
		n, err := s.file.WriteAt(zeros[:min(goal-s.filled, fillBytes)], s.filled)
		if err != nil {
			return fmt.Errorf("extend raft log %s: %w", s.path, err)
		}
		s.filled += int64(n)
	}
	return nil
}

// writeBatch puts a batch at the segment's end. buf has room for the header in
// front.
func (s *segment) writeBatch(buf []byte, h batchHeader) error {
	if err := s.fill(s.end + int64(len(buf))); err != nil {
		return err
	}
	h.encode(buf, s.seed, s.end)
	if _, err := s.file.WriteAt(buf, s.end); err != nil {
		return fmt.Errorf("write raft log %s: %w", s.path, err)
	}
	return nil
}

// writeMarker puts a batch without records at the end, where the next batch
// goes too.
func (s *segment) writeMarker(h batchHeader) error {
	return s.writeBatch(s.marker[:], h)
}

// segmentName is the file name of a segment: ten digits, so that names sort.
func segmentName(id uint64) string { return fmt.Sprintf("%010d%s", id, segmentSuffix) }

func spareName(id uint64) string { return fmt.Sprintf("%010d%s", id, spareSuffix) }

// parseName takes the id out of a file name with this suffix.
func parseName(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil && id > 0 && fmt.Sprintf("%010d", id) == digits
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory %s: %w", dir, err)
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return d.Close()
}
