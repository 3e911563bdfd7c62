package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	leaseOp    = 1<<2 | kindUint
	leaseID    = 2<<2 | kindUint
	leaseTTL   = 3<<2 | kindUint
	leaseShard = 4<<2 | kindUint
	leaseLife  = 5<<2 | kindUint

	leaseResponseLease  = 1<<2 | kindStruct
	leaseResponseIDs    = 2<<2 | kindBytes
	leaseResponseShards = 3<<2 | kindBytes
	leaseResponseLife   = 4<<2 | kindUint
	leaseResponseMore   = 5<<2 | kindUint

	leaseStateID       = 1<<2 | kindUint
	leaseStateTTL      = 2<<2 | kindUint
	leaseStateGranted  = 3<<2 | kindUint
	leaseStateKeys     = 4<<2 | kindList
	leaseStateRevision = 5<<2 | kindUint

	leaseKeyKey = 1<<2 | kindBytes

	// What the shortest element takes: a key that is nil is left out.
	leaseKeySizeMin = 1
)

const (
	compactRevision = 1<<2 | kindUint

	compactedFloor   = 1<<2 | kindUint
	compactedCurrent = 2<<2 | kindUint
)

func appendLease(buf []byte, q *Lease) []byte {
	buf = appendUint(buf, leaseOp, uint64(q.Op))
	buf = appendUint(buf, leaseID, uint64(q.ID))
	buf = appendUint(buf, leaseTTL, uint64(q.TTL))
	buf = appendUint(buf, leaseShard, uint64(q.Shard))
	buf = appendUint(buf, leaseLife, q.Life)
	return appendEnd(buf)
}

func (r *reader) lease() *Lease {
	out := new(Lease)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case leaseOp:
			out.Op = LeaseOp(r.uintMax(uint64(LeaseKeys)))
		case leaseID:
			out.ID = kv.LeaseID(r.uint())
		case leaseTTL:
			out.TTL = int64(r.uint())
		case leaseShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		case leaseLife:
			out.Life = r.uint()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendLeaseResponse(buf []byte, p *LeaseResponse) []byte {
	buf = appendLeaseState(append(buf, leaseResponseLease), &p.Lease)
	buf = appendNumbers(buf, leaseResponseIDs, p.IDs)
	buf = appendNumbers(buf, leaseResponseShards, p.Shards)
	buf = appendUint(buf, leaseResponseLife, p.Life)
	buf = appendBool(buf, leaseResponseMore, p.More)
	return appendEnd(buf)
}

func (r *reader) leaseResponse() *LeaseResponse {
	out := new(LeaseResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case leaseResponseLease:
			r.leaseState(&out.Lease)
		case leaseResponseIDs:
			out.IDs = numbers[kv.LeaseID](r, math.MaxUint64)
		case leaseResponseShards:
			out.Shards = numbers[kv.ShardID](r, math.MaxUint32)
		case leaseResponseLife:
			out.Life = r.uint()
		case leaseResponseMore:
			out.More = r.bool()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendLeaseState(buf []byte, l *kv.Lease) []byte {
	buf = appendUint(buf, leaseStateID, uint64(l.ID))
	buf = appendUint(buf, leaseStateTTL, uint64(l.TTL))
	buf = appendUint(buf, leaseStateGranted, uint64(l.Granted))
	buf = appendElements(buf, leaseStateKeys, l.Keys, appendLeaseKey)
	buf = appendUint(buf, leaseStateRevision, uint64(l.Revision))
	return appendEnd(buf)
}

func (r *reader) leaseState(out *kv.Lease) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case leaseStateID:
			out.ID = kv.LeaseID(r.uint())
		case leaseStateTTL:
			out.TTL = int64(r.uint())
		case leaseStateGranted:
			out.Granted = int64(r.uint())
		case leaseStateKeys:
			out.Keys = elements(r, leaseKeySizeMin, (*reader).leaseKey)
		case leaseStateRevision:
			out.Revision = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
}

func appendLeaseKey(buf []byte, key *[]byte) []byte {
	return appendEnd(appendBytes(buf, leaseKeyKey, *key))
}

func (r *reader) leaseKey(out *[]byte) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case leaseKeyKey:
			*out = r.bytes()
		default:
			r.skip(tag)
		}
	}
}

func appendCompact(buf []byte, q *Compact) []byte {
	return appendEnd(appendUint(buf, compactRevision, uint64(q.Revision)))
}

func (r *reader) compact() *Compact {
	out := new(Compact)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case compactRevision:
			out.Revision = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendCompacted(buf []byte, p *Compacted) []byte {
	buf = appendUint(buf, compactedFloor, uint64(p.Floor))
	buf = appendUint(buf, compactedCurrent, uint64(p.Current))
	return appendEnd(buf)
}

func (r *reader) compacted() *Compacted {
	out := new(Compacted)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case compactedFloor:
			out.Floor = kv.Revision(r.uint())
		case compactedCurrent:
			out.Current = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}
