package backup

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/miruvor/miruvor/internal/kv"
)

// decoder takes fields off a body. After the first malformed byte it has a
// problem: it yields zeros from then on. Byte slices that it returns alias buf.
type decoder struct {
	buf     []byte
	problem string
}

func (d *decoder) fail(problem string) {
	if d.problem == "" {
		d.problem = problem
	}
	d.buf = nil
}

// uint reads a number from least to most, in its shortest form.
func (d *decoder) uint(field string, least, most uint64) uint64 {
	v, n := binary.Uvarint(d.buf)
	switch {
	case n <= 0:
		d.fail(field + " is cut off or too long")
		return 0
	case n > 1 && d.buf[n-1] == 0:
		d.fail(field + " is not in its shortest form")
		return 0
	case v < least || v > most:
		d.fail(field + " is out of bounds")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) revision(field string, least kv.Revision) kv.Revision {
	return kv.Revision(d.uint(field, uint64(least), uint64(kv.RevisionMax)))
}

func (d *decoder) bytes(field string, least, most uint64) []byte {
	n := d.uint("length of the "+field, least, most)
	if n > uint64(len(d.buf)) {
		d.fail(field + " is cut off")
	}
	if d.problem != "" {
		return nil
	}
	v := d.buf[:n:n]
	d.buf = d.buf[n:]
	return v
}

// decodeKey takes a key off d.
func decodeKey(d *decoder) kv.KeyValue {
	var k kv.KeyValue
	k.Key = d.bytes("key", 1, keyBytesMax)
	k.CreateRevision = d.revision("create revision", kv.FirstRevision+1)
	k.ModRevision = k.CreateRevision + d.revision("mod revision", 0)
	k.Version = int64(d.uint("version", 1, uint64(kv.RevisionMax)))
	k.Lease = kv.LeaseID(d.uint("lease", 0, 1<<63-1))
	k.Value = d.bytes("value", 0, valueBytesMax)
	if (k.Version == 1) != (k.CreateRevision == k.ModRevision) {
		d.fail("version and revisions contradict each other")
	}
	return k
}

// decodeLease takes a lease off d.
func decodeLease(d *decoder) kv.Lease {
	var l kv.Lease
	l.ID = kv.LeaseID(d.uint("lease", 1, 1<<63-1))
	l.Granted = int64(d.uint("time to live", kv.LeaseTTLMin, kv.LeaseTTLMax))
	l.TTL = int64(d.uint("time left", 0, uint64(l.Granted)))
	return l
}

// decodeEnd takes the counts and the padding off d.
func decodeEnd(d *decoder) (keys, leases int64) {
	keys = int64(d.uint("number of keys", 0, 1<<62))
	leases = int64(d.uint("number of leases", 0, 1<<62))
	if len(bytes.Trim(d.buf, "\x00")) > 0 {
		d.fail("padding is not zero")
	}
	if len(d.buf) >= sectorBytes {
		d.fail("padding is too long")
	}
	d.buf = nil
	return keys, leases
}

// decodeHeader takes the whole header of a file apart; problem is empty if all
// is well.
func decodeHeader(buf []byte) (h Header, format uint32, problem string) {
	le := binary.LittleEndian
	format = le.Uint32(buf[8:])
	switch {
	case string(buf[:8]) != magic:
		return h, 0, "this is not a backup"
	case format != version:
		return h, format, "unknown format"
	case crc32.Checksum(buf[:headerBytes-4], castagnoli) != le.Uint32(buf[headerBytes-4:]):
		return h, format, "the header's checksum does not match"
	}
	h.Cluster = kv.ClusterID(le.Uint64(buf[16:]))
	h.Revision = kv.Revision(le.Uint64(buf[24:]))
	h.Time = milliTime(int64(le.Uint64(buf[32:])))
	if h.Revision < kv.FirstRevision || h.Revision > kv.RevisionMax {
		return h, format, "the revision is out of bounds"
	}
	if !bytes.Equal(appendHeader(nil, h), buf) {
		return h, format, "the header has bytes that mean nothing"
	}
	return h, format, ""
}

// decodeBlockHeader takes the header of a block apart.
func decodeBlockHeader(buf []byte) (h blockHeader, problem string) {
	le := binary.LittleEndian
	h = blockHeader{
		size: le.Uint32(buf), kind: kind(buf[4]),
		records: le.Uint32(buf[8:]), crc: le.Uint32(buf[12:]),
	}
	switch {
	case h.kind < kindKeys || h.kind > kindEnd || buf[5]|buf[6]|buf[7] != 0:
		return h, "this is not a block"
	case h.size == 0 || h.size > blockBytesMax:
		return h, "the block's size is out of bounds"
	case (h.kind == kindEnd) != (h.records == 0):
		return h, "the block's number of records is out of bounds"
	}
	return h, ""
}
