package raftlog

import (
	"errors"
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

// errStop is what the bytes at the scanner's offset are, if no batch.
var (
	errNoBatch = errors.New("there is no valid batch header")
	errBadBody = errors.New("batch body fails its checksum")
)

// next returns the next batch. At the end of a sealed segment it returns
// io.EOF; any other error says what is wrong with the bytes at offset.
func (s *scanner) next() (scanned, error) {
	end := s.window.size
	if s.limit > 0 {
		end = min(end, s.limit)
	}
	if s.offset == s.limit {
		return scanned{}, io.EOF
	}
	if s.offset+batchHeaderBytes > end {
		return scanned{}, errNoBatch
	}
	b, err := s.window.at(s.offset, batchHeaderBytes)
	if err != nil {
		return scanned{}, err
	}
	h, ok := decodeBatchHeader(b, s.seed, s.offset)
	if !ok {
		return scanned{}, errNoBatch
	}
	if h.seq != s.nextSeq {
		return scanned{}, fmt.Errorf("batch has number %d instead of %d", h.seq, s.nextSeq)
	}
	size := alignUp(batchHeaderBytes + int64(h.bodyBytes))
	if s.offset+size > end {
		return scanned{}, errBadBody
	}
	if b, err = s.window.at(s.offset, size); err != nil {
		return scanned{}, err
	}
	body := b[batchHeaderBytes : batchHeaderBytes+int64(h.bodyBytes)]
	if crc32.Checksum(body, castagnoli) != h.bodySum {
		return scanned{}, errBadBody
	}
	if h.records > 0 {
		s.offset += size
		s.nextSeq++
	}
	return scanned{header: h, body: body}, nil
}

// tail is what lies behind the valid end of the head.
type tail struct {
	// headers tells that there is a valid batch header, so that some later
	// write reached the disk, at least in part.
	headers bool
	// synced is the highest offset that such a header calls synced.
	synced int64
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
				t.headers = true
				t.synced = max(t.synced, int64(h.synced))
			}
		}
	}
	return t, nil
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
