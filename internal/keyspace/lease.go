package keyspace

import (
	"encoding/binary"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const leaseBytes = 8

// LeaseMetaKey appends the key of a shard's metadata on a lease: in the system
// shard its LeaseRecord, in a data shard its LeaseMark.
func LeaseMetaKey(buf []byte, shard kv.ShardID, lease kv.LeaseID) []byte {
	buf = MetaKey(buf, shard, KindLease)
	return binary.BigEndian.AppendUint64(buf, uint64(lease))
}

// ParseLeaseMetaSuffix is the lease in what ParseMetaKey calls the suffix.
func ParseLeaseMetaSuffix(suffix []byte) (kv.LeaseID, error) {
	if len(suffix) != leaseBytes {
		return 0, corrupt("not a lease's metadata key", suffix)
	}
	return kv.LeaseID(binary.BigEndian.Uint64(suffix)), nil
}

// LeaseMetaSpan holds a shard's metadata on all leases, by their ids.
func LeaseMetaSpan(shard kv.ShardID) Span {
	return Span{
		Start: MetaKey(nil, shard, KindLease), End: MetaKey(nil, shard, KindLease+1),
	}
}

// LeaseIndexKey appends the entry of a key of shard that hangs on a lease.
func LeaseIndexKey(buf []byte, shard kv.ShardID, lease kv.LeaseID, key []byte) []byte {
	return appendEscaped(leaseIndexPrefix(buf, shard, lease), key)
}

func leaseIndexPrefix(buf []byte, shard kv.ShardID, lease kv.LeaseID) []byte {
	buf = append(buf, byte(SpaceLease))
	buf = binary.BigEndian.AppendUint32(buf, uint32(shard))
	return binary.BigEndian.AppendUint64(buf, uint64(lease))
}

// LeaseIndexSpan holds the keys of a shard that hang on a lease, in their
// order.
func LeaseIndexSpan(shard kv.ShardID, lease kv.LeaseID) Span {
	span := shardSpan(SpaceLease, shard)
	span.Start = leaseIndexPrefix(nil, shard, lease)
	if uint64(lease) < math.MaxUint64 {
		span.End = leaseIndexPrefix(nil, shard, lease+1)
	}
	return span
}

// LeaseIndexSpans holds all keys of a shard that hang on some lease.
func LeaseIndexSpans(shard kv.ShardID) Span { return shardSpan(SpaceLease, shard) }

// ParseLeaseIndexKey undoes LeaseIndexKey. The key aliases b unless it has a
// zero byte in it.
func ParseLeaseIndexKey(b []byte) (shard kv.ShardID, lease kv.LeaseID, key []byte, err error) {
	const head = 1 + shardBytes + leaseBytes
	if len(b) < head || Space(b[0]) != SpaceLease {
		return 0, 0, nil, corrupt("not a key of the lease index", b)
	}
	length, plain, err := escapedLen(b[head:])
	if err != nil {
		return 0, 0, nil, err
	}
	if length != len(b)-head {
		return 0, 0, nil, corrupt("a key that goes on after its end", b)
	}
	shard = kv.ShardID(binary.BigEndian.Uint32(b[1:]))
	lease = kv.LeaseID(binary.BigEndian.Uint64(b[1+shardBytes:]))
	return shard, lease, unescape(b[head:], plain), nil
}

// LeaseRecord is a lease as the system shard keeps it.
type LeaseRecord struct {
	// Life tells the lease from those that had its id before: it only grows.
	// It is not 0.
	Life uint64
	// TTLSeconds is the time to live, LeftMillis what was left of it when the
	// record was written.
	TTLSeconds int64
	LeftMillis int64
	// Revoking says that the lease is coming to its end, which nothing stops.
	Revoking bool
	// Shards are those where keys may hang on it, ascending.
	Shards []kv.ShardID
}

const flagRevoking = 1

// AppendLeaseRecord appends the encoding of l:
//
//	flags:byte life:uvarint ttl:uvarint left:uvarint shard:uvarint …
func AppendLeaseRecord(buf []byte, l LeaseRecord) []byte {
	flags := byte(0)
	if l.Revoking {
		flags = flagRevoking
	}
	buf = binary.AppendUvarint(append(buf, flags), l.Life)
	buf = binary.AppendUvarint(buf, uint64(l.TTLSeconds))
	buf = binary.AppendUvarint(buf, uint64(l.LeftMillis))
	for _, shard := range l.Shards {
		buf = binary.AppendUvarint(buf, uint64(shard))
	}
	return buf
}

// ParseLeaseRecord undoes AppendLeaseRecord.
func ParseLeaseRecord(b []byte) (LeaseRecord, error) {
	if len(b) == 0 || b[0] > flagRevoking {
		return LeaseRecord{}, corrupt("a lease with unknown flags", b)
	}
	in := reader{rest: b[1:]}
	l := LeaseRecord{
		Revoking:   b[0] == flagRevoking,
		Life:       in.number(1, math.MaxUint64),
		TTLSeconds: int64(in.number(1, kv.LeaseTTLMax)),
		LeftMillis: int64(in.number(0, kv.LeaseTTLMax*1000)),
	}
	lowest := uint64(0)
	for len(in.rest) > 0 {
		shard := in.number(lowest, math.MaxUint32)
		l.Shards = append(l.Shards, kv.ShardID(shard))
		lowest = shard + 1
	}
	if in.bad {
		return LeaseRecord{}, corrupt("a bad lease", b)
	}
	return l, nil
}

// LeaseMark is what a data shard knows of a lease: that keys may be hung on
// it, or, with Closing, that none may be any more.
type LeaseMark struct {
	// Life is the lease's.
	Life    uint64
	Closing bool
}

// Follows reports whether m is news to a shard that has old: a later life, or
// the end of the same one.
func (m LeaseMark) Follows(old LeaseMark) bool {
	return m.Life > old.Life || m.Life == old.Life && m.Closing && !old.Closing
}

// AppendLeaseMark appends the encoding of m: 0 or, closing, 1, and the life as
// a uvarint.
func AppendLeaseMark(buf []byte, m LeaseMark) []byte {
	closing := byte(0)
	if m.Closing {
		closing = 1
	}
	return binary.AppendUvarint(append(buf, closing), m.Life)
}

// ParseLeaseMark undoes AppendLeaseMark.
func ParseLeaseMark(b []byte) (LeaseMark, error) {
	if len(b) == 0 || b[0] > 1 {
		return LeaseMark{}, corrupt("a mark of a lease with unknown flags", b)
	}
	in := reader{rest: b[1:]}
	m := LeaseMark{Closing: b[0] == 1, Life: in.number(1, math.MaxUint64)}
	if in.bad || len(in.rest) > 0 {
		return LeaseMark{}, corrupt("a bad mark of a lease", b)
	}
	return m, nil
}
