package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// version of the format; a higher one is refused.
const version = 1

// magic begins the file.
const magic = "MIRUBAK\n"

const (
	headerBytes      = 64
	blockHeaderBytes = 16
	// sectorBytes divides the size of the file without its checksum.
	sectorBytes = 512
	// blockBytesGoal ends a block of keys or leases. blockBytesMax bounds what
	// a reader takes: a block that is nearly full, and the largest key.
	blockBytesGoal = 1 << 20
	blockBytesMax  = blockBytesGoal + keyBytesMax + valueBytesMax + recordOverhead
	// keyBytesMax and valueBytesMax are at least what any node takes.
	keyBytesMax   = 1 << 20
	valueBytesMax = 16 << 20
	// recordOverhead is more than the numbers of a record take.
	recordOverhead = 64
)

// kind is what a block holds. Kinds come in this order.
type kind byte

const (
	kindKeys   kind = 1
	kindLeases kind = 2
	kindEnd    kind = 3
)

// castagnoli is the polynomial of all checksums but the last.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealBytes is the checksum at the very end.
const sealBytes = sha256.Size

// appendHeader appends the first headerBytes of a file:
//
//	0   8  magic          32  8  time, Unix milliseconds
//	8   4  version        40 20  zero
//	12  4  zero           60  4  CRC-32C of all before
//	16  8  cluster
//	24  8  revision
func appendHeader(buf []byte, h Header) []byte {
	start := len(buf)
	buf = append(buf, magic...)
	buf = binary.LittleEndian.AppendUint32(buf, version)
	buf = binary.LittleEndian.AppendUint32(buf, 0)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(h.Cluster))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(h.Revision))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(h.Time.UnixMilli()))
	buf = append(buf, make([]byte, headerBytes-4-(len(buf)-start))...)
	return binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli))
}

// blockHeader stands before each block:
//
//	0  4  bytes of the body
//	4  1  kind
//	5  3  zero
//	8  4  records in the body
//	12 4  CRC-32C of the 12 bytes before, and the body
type blockHeader struct {
	size    uint32
	kind    kind
	records uint32
	crc     uint32
}

// appendBlockHeader appends the header of a block with that body.
func appendBlockHeader(buf []byte, k kind, records uint32, body []byte) []byte {
	start := len(buf)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(body)))
	buf = append(buf, byte(k), 0, 0, 0)
	buf = binary.LittleEndian.AppendUint32(buf, records)
	crc := crc32.Update(crc32.Checksum(buf[start:], castagnoli), castagnoli, body)
	return binary.LittleEndian.AppendUint32(buf, crc)
}

// appendKey appends the record of a key. Numbers are uvarints, of the shortest
// form: length of the key, key, create revision, how far the mod revision is
// above it, version, lease, length of the value, value.
func appendKey(buf []byte, k *kv.KeyValue) []byte {
	buf = appendBytes(buf, k.Key)
	buf = binary.AppendUvarint(buf, uint64(k.CreateRevision))
	buf = binary.AppendUvarint(buf, uint64(k.ModRevision-k.CreateRevision))
	buf = binary.AppendUvarint(buf, uint64(k.Version))
	buf = binary.AppendUvarint(buf, uint64(k.Lease))
	return appendBytes(buf, k.Value)
}

// appendLease appends the record of a lease: id, granted seconds, seconds left.
func appendLease(buf []byte, l *kv.Lease) []byte {
	buf = binary.AppendUvarint(buf, uint64(l.ID))
	buf = binary.AppendUvarint(buf, uint64(l.Granted))
	return binary.AppendUvarint(buf, uint64(l.TTL))
}

// appendEnd appends the body of the last block: how many keys and leases there
// are, and zeros up to a whole sector of the file; before is the number of bytes
// of the file before the body.
func appendEnd(buf []byte, keys, leases, before int64) []byte {
	start := len(buf)
	buf = binary.AppendUvarint(buf, uint64(keys))
	buf = binary.AppendUvarint(buf, uint64(leases))
	size := before + int64(len(buf)-start)
	return append(buf, make([]byte, (sectorBytes-size%sectorBytes)%sectorBytes)...)
}

func appendBytes(buf, data []byte) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(data))), data...)
}

func milliTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
