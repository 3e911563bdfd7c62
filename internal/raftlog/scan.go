package raftlog

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// scanner reads the batches of one segment in order.
type scanner struct {
	window window
	seed   uint32
	// limit is where the valid bytes end, as the next segment's header
	// says; 0 for the head, whose end has to be found.
	limit int64
	// offset is where the next batch should be, nextSeq its number.
	offset  int64
	nextSeq uint64
}

// scanned is a batch that passed its checks. body aliases the window and is
// valid until the scanner goes on.
type scanned struct {
	header batchHeader
	body   []byte
}

// stop says why there is no next batch at an offset.
type stop string

const (
	stopNoHeader  stop = "there is no valid batch header"
	stopBadBody   stop = "a batch fails its checksum"
	stopBadNumber stop = "a batch has the wrong number"
	// stopMarker is the marker at the end of what was synced.
	stopMarker stop = "the log ends"
	// stopContinues is the marker of a segment that has a successor.
	stopContinues stop = "the segment ends"
	// stopSealed is where the successor says that the segment ends.
	stopSealed stop = "the sealed segment ends"
)

func (s stop) Error() string { return string(s) }

// next returns the next batch and steps over it. Its error is a stop, or that
// of reading the file.
func (s *scanner) next() (scanned, error) {
	end := s.window.size
	if s.limit > 0 {
		end = min(end, s.limit)
	}
	if s.offset == s.limit {
		return scanned{}, stopSealed
	}
	if s.offset+batchHeaderBytes > end {
		return scanned{}, stopNoHeader
	}
	b, err := s.window.at(s.offset, batchHeaderBytes)
	if err != nil {
		return scanned{}, err
	}
	h, ok := decodeBatchHeader(b, s.seed, s.offset)
	if !ok {
		return scanned{}, stopNoHeader
	}
	if h.seq != s.nextSeq {
		return scanned{}, stopBadNumber
	}
	switch {
	case h.records == 0 && h.bodySum == markContinues:
		return scanned{}, stopContinues
	case h.records == 0:
		return scanned{}, stopMarker
	}
	size := alignUp(batchHeaderBytes + int64(h.bodyBytes))
	if s.offset+size > end {
		return scanned{}, stopBadBody
	}
	if b, err = s.window.at(s.offset, size); err != nil {
		return scanned{}, err
	}
	body := b[batchHeaderBytes : batchHeaderBytes+int64(h.bodyBytes)]
	if crc32.Checksum(body, castagnoli) != h.bodySum {
		return scanned{}, stopBadBody
	}
	s.offset += size
	s.nextSeq++
	return scanned{header: h, body: body}, nil
}

// tail is what lies behind the valid end of the head.
type tail struct {
	// first is the offset of the first valid batch header, 0 if there is
	// none, and firstSeq its number. If there is one, then some later write
	// reached the disk, at least in part.
	first    int64
	firstSeq uint64
	// synced is the highest offset that such a header calls synced.
	synced int64
	// continues tells that there is the marker of a segment with a successor.
	continues bool
}

// tail looks for batch headers at offset from and behind it.
func (s *scanner) tail(from int64) (tail, error) {
	var t tail
	const step = 256 << 10
	for ; from+batchHeaderBytes <= s.window.size; from += step {
		n := min(step+batchHeaderBytes-batchAlign, s.window.size-from)
		b, err := s.window.at(from, n)
		if err != nil {
			return t, err
		}
		for i := int64(0); i < step && i+batchHeaderBytes <= n; i += batchAlign {
			if h, ok := decodeBatchHeader(b[i:], s.seed, from+i); ok {
				t.add(h, from+i)
			}
		}
	}
	return t, nil
}

func (t *tail) add(h batchHeader, offset int64) {
	if t.first == 0 {
		t.first, t.firstSeq = offset, h.seq
	}
	t.synced = max(t.synced, int64(h.synced))
	t.continues = t.continues || (h.records == 0 && h.bodySum == markContinues)
}

// windowBytes is how much of a file is read at once.
const windowBytes = 1 << 20

// window reads a file through a buffer.
type window struct {
	file vfs.File
	size int64
	buf  []byte
	// start is the offset of buf in the file.
	start int64
}

// at returns the n bytes at offset; they are valid until the next call.
func (w *window) at(offset, n int64) ([]byte, error) {
	if offset+n > w.size {
		return nil, io.ErrUnexpectedEOF
	}
	if offset < w.start || offset+n > w.start+int64(len(w.buf)) {
		want := min(max(n, windowBytes), w.size-offset)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.start = w.buf[:want], offset
		if _, err := w.file.ReadAt(w.buf, offset); err != nil {
			w.buf = w.buf[:0]
			return nil, fmt.Errorf("read: %w", err)
		}
	}
	at := offset - w.start
	return w.buf[at : at+n : at+n], nil
}
