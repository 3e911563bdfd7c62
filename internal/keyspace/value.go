package keyspace

import (
	"encoding/binary"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

// Version is the value of a version's key. That it was written at, its
// ModRevision, is in the key.
type Version struct {
	// Create is the revision of the put that made the key.
	Create kv.Revision
	// Count is the number of puts since then, from 1: etcd's version.
	Count int64
	// Lease is the lease that the key hangs on, 0 for none.
	Lease kv.LeaseID
	// Tombstone marks a deletion; nothing else is set then.
	Tombstone bool
	Value     []byte
}

// The flags that begin an encoded version.
const (
	flagTombstone = 1 << iota
	flagLease
	flagsEnd
)

// AppendVersion appends the encoding of v:
//
//	flags:byte                                          a tombstone
//	flags:byte create:uvarint count:uvarint [lease:uvarint] value
func AppendVersion(buf []byte, v Version) []byte {
	if v.Tombstone {
		return append(buf, flagTombstone)
	}
	flags := byte(0)
	if v.Lease != 0 {
		flags = flagLease
	}
	buf = append(buf, flags)
	buf = binary.AppendUvarint(buf, uint64(v.Create))
	buf = binary.AppendUvarint(buf, uint64(v.Count))
	if v.Lease != 0 {
		buf = binary.AppendUvarint(buf, uint64(v.Lease))
	}
	return append(buf, v.Value...)
}

// ParseVersion undoes AppendVersion. The value aliases b; it is empty, not
// nil, for a key with an empty value.
func ParseVersion(b []byte) (Version, error) {
	if len(b) == 0 || b[0] >= flagsEnd {
		return Version{}, corrupt("a version with unknown flags", b)
	}
	if b[0]&flagTombstone != 0 {
		if len(b) != 1 || b[0] != flagTombstone {
			return Version{}, corrupt("a tombstone with more in it", b)
		}
		return Version{Tombstone: true}, nil
	}
	in := reader{rest: b[1:]}
	v := Version{Create: kv.Revision(in.number(1, uint64(kv.RevisionMax)))}
	v.Count = int64(in.number(1, math.MaxInt64))
	if b[0]&flagLease != 0 {
		v.Lease = kv.LeaseID(in.number(1, math.MaxUint64))
	}
	if in.bad {
		return Version{}, corrupt("a version with bad numbers", b)
	}
	v.Value = in.rest
	return v, nil
}

// Applied is how far a replica's state machine has come. It is written in
// the same batch as the data that it speaks of.
type Applied struct {
	// Index and Term are those of the last log entry applied.
	Index uint64
	Term  uint64
	// Revision is the highest that the shard has written.
	Revision kv.Revision
	// Ordered is the highest that one of the shard's own transactions has
	// written; those come in order. A transaction over several shards may
	// come later than higher ones. Ordered <= Revision; 0 stands for Revision.
	Ordered kv.Revision
}

// AppendApplied appends the encoding of a: three uvarints, and a fourth that
// is Revision less Ordered, unless it is 0.
func AppendApplied(buf []byte, a Applied) []byte {
	buf = binary.AppendUvarint(buf, a.Index)
	buf = binary.AppendUvarint(buf, a.Term)
	buf = binary.AppendUvarint(buf, uint64(a.Revision))
	if a.Ordered == 0 || a.Revision == a.Ordered {
		return buf
	}
	return binary.AppendUvarint(buf, uint64(a.Revision-a.Ordered))
}

// ParseApplied undoes AppendApplied.
func ParseApplied(b []byte) (Applied, error) {
	in := reader{rest: b}
	a := Applied{
		Index:    in.number(0, math.MaxUint64),
		Term:     in.number(0, math.MaxUint64),
		Revision: kv.Revision(in.number(0, uint64(kv.RevisionMax))),
	}
	a.Ordered = a.Revision
	if !in.bad && len(in.rest) > 0 {
		a.Ordered -= kv.Revision(in.number(1, max(uint64(a.Revision), 1)-1))
	}
	if in.bad || len(in.rest) != 0 {
		return Applied{}, corrupt("a bad applied state", b)
	}
	return a, nil
}

// reader takes numbers off the front of some bytes. Once one is bad, all that
// follow are.
type reader struct {
	rest []byte
	bad  bool
}

// number takes a uvarint in its shortest form, between lowest and highest.
func (r *reader) number(lowest, highest uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	long := size > 1 && r.rest[size-1] == 0
	if size <= 0 || long || n < lowest || n > highest {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}
