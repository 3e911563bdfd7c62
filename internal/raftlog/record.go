package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// Record is what one group saves; it is applied in the order Reset, Entries,
// Hard and is on disk whole or not at all. The log keeps the entries and does
// not modify them; nobody else may either.
type Record struct {
	Shard kv.ShardID
	// Remove forgets the group altogether; it stands alone in its Record.
	Remove bool
	// Reset forgets all entries: the log now starts after this position.
	Reset *Position
	// Entries have contiguous indexes and replace any at or above the first.
	Entries []*raftpb.Entry
	// Hard replaces the hard state; nil leaves it.
	Hard *raftpb.HardState
}

// Position names an entry that is not in the log: the one just before its
// first.
type Position struct {
	Index, Term uint64
}

// hardState is a raftpb.HardState without its pointers.
type hardState struct {
	term, vote, commit uint64
}

// recordKind tells what a record's payload is.
type recordKind uint8

const (
	// kindEntries appends entries and drops any at or above the first.
	kindEntries recordKind = 1
	// kindMoved repeats entries of an older segment; it drops nothing.
	kindMoved recordKind = 2
	// kindHard sets the hard state.
	kindHard recordKind = 3
	// kindState sets the position before the first entry and the hard state.
	kindState recordKind = 4
	// kindReset drops all entries and sets the position.
	kindReset recordKind = 5
	// kindRemove drops everything of the shard.
	kindRemove recordKind = 6
)

// beginRecord appends a record header whose length and checksum are open.
func beginRecord(buf []byte, kind recordKind, shard kv.ShardID) []byte {
	buf = append(buf, 0, 0, 0, 0, 0, 0, 0, 0, byte(kind))
	return binary.LittleEndian.AppendUint32(buf, uint32(shard))
}

// endRecord fills in the length of the record that begins at start. The
// checksum has to wait until the segment is known.
func endRecord(buf []byte, start int) {
	n := len(buf) - start - recordHeaderBytes
	binary.LittleEndian.PutUint32(buf[start:], uint32(n))
}

func appendPosition(buf []byte, p Position) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(buf, p.Index), p.Term)
}

func appendHard(buf []byte, h hardState) []byte {
	buf = binary.AppendUvarint(buf, h.term)
	buf = binary.AppendUvarint(buf, h.vote)
	return binary.AppendUvarint(buf, h.commit)
}

func appendEntry(buf []byte, e *raftpb.Entry) []byte {
	buf = append(buf, byte(e.GetType()))
	buf = binary.AppendUvarint(buf, uint64(len(e.GetData())))
	return append(buf, e.GetData()...)
}

// sealRecords fills in the checksums of the records in body.
func sealRecords(body []byte, seed uint32) {
	le := binary.LittleEndian
	for len(body) > 0 {
		n := recordHeaderBytes + int(le.Uint32(body))
		le.PutUint32(body[4:], crc32.Update(seed, castagnoli, body[8:n]))
		body = body[n:]
	}
}

// rawRecord is a record as it lies in a batch; payload aliases the batch.
type rawRecord struct {
	kind    recordKind
	shard   kv.ShardID
	payload []byte
}

// decodeRecord splits the first record off b. The second result is its length
// with its header.
func decodeRecord(b []byte, seed uint32) (rawRecord, int, error) {
	if len(b) < recordHeaderBytes {
		return rawRecord{}, 0, errors.New("record header is cut short")
	}
	le := binary.LittleEndian
	n := int64(recordHeaderBytes) + int64(le.Uint32(b))
	if n > int64(len(b)) {
		return rawRecord{}, 0, errors.New("record is cut short")
	}
	if crc32.Update(seed, castagnoli, b[8:n]) != le.Uint32(b[4:]) {
		return rawRecord{}, 0, errors.New("record fails its checksum")
	}
	r := rawRecord{
		kind:    recordKind(b[8]),
		shard:   kv.ShardID(le.Uint32(b[9:])),
		payload: b[recordHeaderBytes:n],
	}
	return r, int(n), nil
}

// errPayload is the error of a payload that does not parse.
var errPayload = errors.New("record payload does not parse")

// fields reads uvarints off a payload; err sticks.
type fields struct {
	b   []byte
	err error
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.b, f.err = nil, errPayload
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) position() Position {
	p := Position{Index: f.uvarint(), Term: f.uvarint()}
	if p.Index > indexMax {
		f.err = errPayload
	}
	return p
}

func (f *fields) hard() hardState {
	return hardState{term: f.uvarint(), vote: f.uvarint(), commit: f.uvarint()}
}

// end reports the first error, or that bytes are left over.
func (f *fields) end() error {
	if f.err == nil && len(f.b) > 0 {
		return fmt.Errorf("%w: %d bytes left over", errPayload, len(f.b))
	}
	return f.err
}

// entryReader walks the entries of a kindEntries or kindMoved payload.
type entryReader struct {
	rest  fields
	term  uint64 // of all entries
	index uint64 // of the next entry
	left  uint64
}

// rawEntry is one entry; raw is its encoding and data its payload, both inside
// the record.
type rawEntry struct {
	index, term uint64
	kind        raftpb.EntryType
	data, raw   []byte
}

// readEntries begins the walk and checks the bounds of index and count.
func readEntries(payload []byte) (entryReader, error) {
	r := entryReader{rest: fields{b: payload}}
	r.index, r.left, r.term = r.rest.uvarint(), r.rest.uvarint(), r.rest.uvarint()
	if r.rest.err != nil {
		return r, r.rest.err
	}
	// An entry takes two bytes at least.
	if r.index == 0 || r.left == 0 || r.left > uint64(len(r.rest.b))/2 ||
		r.index > indexMax {
		return r, fmt.Errorf("%w: %d entries from %d", errPayload, r.left, r.index)
	}
	return r, nil
}

// next returns the next entry, or false after the last or at an error, which
// end tells apart.
func (r *entryReader) next() (rawEntry, bool) {
	if r.left == 0 || r.rest.err != nil {
		return rawEntry{}, false
	}
	start := r.rest.b
	if len(start) == 0 {
		r.rest.err = errPayload
		return rawEntry{}, false
	}
	r.rest.b = start[1:]
	e := rawEntry{index: r.index, term: r.term, kind: raftpb.EntryType(start[0])}
	n := r.rest.uvarint()
	if r.rest.err != nil || n > uint64(len(r.rest.b)) {
		r.rest.err = errPayload
		return rawEntry{}, false
	}
	e.data, r.rest.b = r.rest.b[:n:n], r.rest.b[n:]
	e.raw = start[:len(start)-len(r.rest.b)]
	r.index++
	r.left--
	return e, true
}

func (r *entryReader) end() error {
	return r.rest.end()
}
