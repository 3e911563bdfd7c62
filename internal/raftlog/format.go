package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The sizes and marks of the disk format; docs/disk-format.md has the map.
const (
	fileMagic     = "MIRULOG\n"
	formatVersion = 1

	segmentHeaderBytes = 64
	batchHeaderBytes   = 32
	recordHeaderBytes  = 13
	batchAlign         = 8

	batchMagic uint32 = 0x31424d52
)

// ErrNewerVersion means that a log was written in a format that this program
// does not know.
var ErrNewerVersion = errors.New("raft log has a newer format")

// markContinues says that the next segment exists and is on stable storage.
const markContinues uint32 = 1

// indexMax bounds the indexes that are believed.
const indexMax = 1<<63 - 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentHeader opens a segment file.
type segmentHeader struct {
	// bytes is the size of the file when it became this segment; it may
	// have grown since.
	bytes uint32
	id    uint64
	salt  uint64
	// floor is the oldest segment that is still needed once this one exists.
	floor uint64
	// prevEnd is where the valid bytes of segment id-1 end, prevSeed its seed, by which
	// it is told from others with its id; 0 if this says nothing.
	prevEnd  int64
	prevSeed uint32
	// firstSeq is the sequence number of the first batch.
	firstSeq uint64
}

func (h segmentHeader) encode(b *[segmentHeaderBytes]byte) {
	clear(b[:])
	le := binary.LittleEndian
	copy(b[0:], fileMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], h.bytes)
	le.PutUint64(b[16:], h.id)
	le.PutUint64(b[24:], h.salt)
	le.PutUint64(b[32:], h.floor)
	le.PutUint64(b[40:], uint64(h.prevEnd))
	le.PutUint64(b[48:], h.firstSeq)
	le.PutUint32(b[56:], h.prevSeed)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// decodeSegmentHeader checks b, segmentHeaderBytes from the file of segment id. It
// returns ErrNewerVersion, or an error that says what is wrong.
func decodeSegmentHeader(b []byte, id uint64) (segmentHeader, error) {
	le := binary.LittleEndian
	if string(b[:8]) != fileMagic {
		return segmentHeader{}, errors.New("not a log segment")
	}
	if v := le.Uint32(b[8:]); v > formatVersion {
		return segmentHeader{}, fmt.Errorf("%w: version %d, this program reads up to %d",
			ErrNewerVersion, v, formatVersion)
	}
	if crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return segmentHeader{}, errors.New("segment header fails its checksum")
	}
	h := segmentHeader{
		bytes:    le.Uint32(b[12:]),
		id:       le.Uint64(b[16:]),
		salt:     le.Uint64(b[24:]),
		floor:    le.Uint64(b[32:]),
		prevEnd:  int64(le.Uint64(b[40:])),
		firstSeq: le.Uint64(b[48:]),
		prevSeed: le.Uint32(b[56:]),
	}
	if h.id != id {
		return segmentHeader{}, fmt.Errorf("segment header is that of segment %d", h.id)
	}
	if h.floor == 0 || h.floor > h.id {
		return segmentHeader{}, fmt.Errorf("segment header has floor %d", h.floor)
	}
	return h, nil
}

// seed starts every checksum inside the segment, so that bytes of another life
// of the same file never pass.
func (h segmentHeader) seed() uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], h.id)
	binary.LittleEndian.PutUint64(b[8:], h.salt)
	return crc32.Checksum(b[:], castagnoli)
}

// batchHeader opens a batch. A batch without records is a marker, at the end of
// the log or of a segment: it only tells what is synced, and the next batch overwrites
// it. The last marker of a segment has bodySum markContinues.
type batchHeader struct {
	bodyBytes uint32
	records   uint32
	seq       uint64
	// synced is the offset in this segment below which everything was on
	// stable storage when the batch was written.
	synced  uint32
	bodySum uint32
}

// encode writes the header of a batch that lies at offset.
func (h batchHeader) encode(b []byte, seed uint32, offset int64) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], batchMagic)
	le.PutUint32(b[4:], h.bodyBytes)
	le.PutUint64(b[8:], h.seq)
	le.PutUint32(b[16:], h.synced)
	le.PutUint32(b[20:], h.records)
	le.PutUint32(b[24:], h.bodySum)
	le.PutUint32(b[28:], batchSum(b, seed, offset))
}

// decodeBatchHeader reports whether b begins with the header of a batch that
// was written at offset of this segment.
func decodeBatchHeader(b []byte, seed uint32, offset int64) (batchHeader, bool) {
	le := binary.LittleEndian
	if len(b) < batchHeaderBytes || le.Uint32(b) != batchMagic {
		return batchHeader{}, false
	}
	if le.Uint32(b[28:]) != batchSum(b, seed, offset) {
		return batchHeader{}, false
	}
	return batchHeader{
		bodyBytes: le.Uint32(b[4:]),
		seq:       le.Uint64(b[8:]),
		synced:    le.Uint32(b[16:]),
		records:   le.Uint32(b[20:]),
		bodySum:   le.Uint32(b[24:]),
	}, true
}

// batchSum is the checksum of a header at offset: the same header anywhere else
// has another one.
func batchSum(b []byte, seed uint32, offset int64) uint32 {
	return crc32.Update(seed^uint32(offset), castagnoli, b[:28])
}

// alignUp rounds n up to where a batch may begin.
func alignUp(n int64) int64 {
	return (n + batchAlign - 1) &^ (batchAlign - 1)
}
