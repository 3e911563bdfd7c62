package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
)

// Write is one key's change inside a transaction's effect. The revision that
// it is written at, its ModRevision, is the transaction's.
type Write struct {
	Key   []byte
	Value []byte
	// Create is the revision of the put that made the key. Version counts
	// the puts since then, from 1. Both are 0 in a tombstone.
	Create  kv.Revision
	Version int64
	// Lease is the lease that the key hangs on, 0 for none. PrevLease is that
	// of the version before.
	Lease, PrevLease kv.LeaseID
	// Tombstone deletes the key; nothing but Key and PrevLease is set then.
	Tombstone bool
}

// provisional is the lowest provisional revision.
const provisional kv.Revision = 1 << 62

// Provisional is the revision that the write with this sequence number stands
// under until its own is known. seq counts from 1. Provisional revisions are
// ordered as their seqs are, and above every real revision.
func Provisional(seq uint64) kv.Revision {
	return provisional | kv.Revision(seq)
}

// IsProvisional reports whether rev is a provisional revision.
func IsProvisional(rev kv.Revision) bool {
	return rev >= provisional
}

// ProvisionalSeq is the sequence number in a provisional revision.
func ProvisionalSeq(rev kv.Revision) uint64 {
	return uint64(rev &^ provisional)
}

// stored is the version that w makes.
func (w *Write) stored() keyspace.Version {
	return keyspace.Version{
		Create: w.Create, Count: w.Version, Lease: w.Lease,
		Tombstone: w.Tombstone, Value: w.Value,
	}
}

// AppendWrites appends the encoding of writes for the log: their number, then
// of each the key and the version, with their lengths before them. A write
// with a PrevLease begins with a zero, which is no length of a key, and that.
// It panics on a provisional revision, which must never reach the log.
func AppendWrites(buf []byte, writes []Write) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(writes)))
	var space [64]byte // a version without its value fits
	for i := range writes {
		w := &writes[i]
		if IsProvisional(w.Create) {
			panic(fmt.Sprintf("mvcc: %q is proposed with a provisional revision %d",
				w.Key, ProvisionalSeq(w.Create)))
		}
		if w.PrevLease != 0 {
			buf = binary.AppendUvarint(append(buf, 0), uint64(w.PrevLease))
		}
		buf = binary.AppendUvarint(buf, uint64(len(w.Key)))
		buf = append(buf, w.Key...)
		head := w.stored()
		head.Value = nil
		version := keyspace.AppendVersion(space[:0], head)
		buf = binary.AppendUvarint(buf, uint64(len(version)+len(w.Value)))
		buf = append(buf, version...)
		buf = append(buf, w.Value...)
	}
	return buf
}

// writeBytesMin is the length of the shortest encoded write: the deletion of
// a key of one byte.
const writeBytesMin = 4

// DecodeWrites undoes AppendWrites, and returns what follows in data. The
// writes alias data. It returns an error that wraps kv.ErrCorrupt.
func DecodeWrites(data []byte) (writes []Write, rest []byte, err error) {
	count, size := binary.Uvarint(data)
	if size <= 0 || count > uint64(len(data)/writeBytesMin) {
		return nil, nil, fmt.Errorf("%w: a bad number of writes", kv.ErrCorrupt)
	}
	rest = data[size:]
	writes = make([]Write, count)
	for i := range writes {
		if rest, err = decodeWrite(&writes[i], rest); err != nil {
			return nil, nil, fmt.Errorf("write %d of %d: %w", i, count, err)
		}
	}
	return writes, rest, nil
}

func decodeWrite(w *Write, data []byte) (rest []byte, err error) {
	prevLease := uint64(0)
	if len(data) > 0 && data[0] == 0 {
		var size int
		prevLease, size = binary.Uvarint(data[1:])
		if size <= 0 || prevLease == 0 {
			return nil, fmt.Errorf("%w: a bad lease before", kv.ErrCorrupt)
		}
		data = data[1+size:]
	}
	key, data, err := cutBytes(data)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("%w: an empty key", kv.ErrCorrupt)
	}
	encoded, data, err := cutBytes(data)
	if err != nil {
		return nil, err
	}
	v, err := keyspace.ParseVersion(encoded)
	if err != nil {
		return nil, err
	}
	*w = Write{
		Key: key, Value: v.Value, Create: v.Create, Version: v.Count,
		Lease: v.Lease, PrevLease: kv.LeaseID(prevLease), Tombstone: v.Tombstone,
	}
	return data, nil
}

// cutBytes cuts a length and as many bytes off the front of data.
func cutBytes(data []byte) (cut, rest []byte, err error) {
	length, size := binary.Uvarint(data)
	if size <= 0 || length > uint64(len(data)-size) {
		return nil, nil, fmt.Errorf("%w: a length beyond the end", kv.ErrCorrupt)
	}
	end := size + int(length)
	return data[size:end:end], data[end:], nil
}
