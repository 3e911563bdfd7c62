package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of KV, decoded by hand. The bytes in them alias the data that they
// are decoded from. Each function reports whether it knew all that it met; else the
// message is not complete.

// fields are the fields of a message that are still to be read.
type fields struct {
	data []byte
	// bad tells that something was not as expected.
	bad bool
}

// next is the number of the next field, with its type as protobuf encodes both: 0
// at the end, and of what is bad.
func (f *fields) next() uint64 {
	if f.bad || len(f.data) == 0 {
		return 0
	}
	tag := f.varint()
	f.bad = f.bad || tag == 0
	return tag
}

func (f *fields) varint() uint64 {
	if len(f.data) > 0 && f.data[0] < 0x80 {
		v := uint64(f.data[0])
		f.data = f.data[1:]
		return v
	}
	v, n := protowire.ConsumeVarint(f.data)
	if n < 0 {
		f.bad = true
		return 0
	}
	f.data = f.data[n:]
	return v
}

func (f *fields) int64() int64 { return int64(f.varint()) }
func (f *fields) bool() bool   { return f.varint() != 0 }

// bytes is a field of bytes, or a message in this one. What is last in the data
// keeps the room behind it.
func (f *fields) bytes() []byte {
	n := f.varint()
	if n > uint64(len(f.data)) {
		f.bad = true
		return nil
	}
	field := f.data[:n:n]
	if n == uint64(len(f.data)) {
		field = f.data
	}
	f.data = f.data[n:]
	return field
}

// Tags of fields: number times eight, plus 0 for a number and 2 for bytes.
func decodeRange(data []byte, r *pb.RangeRequest) bool {
	f := fields{data: data}
	for {
		switch f.next() {
		case 1<<3 | 2:
			r.Key = f.bytes()
		case 2<<3 | 2:
			r.RangeEnd = f.bytes()
		case 3 << 3:
			r.Limit = f.int64()
		case 4 << 3:
			r.Revision = f.int64()
		case 5 << 3:
			r.SortOrder = pb.RangeRequest_SortOrder(f.varint())
		case 6 << 3:
			r.SortTarget = pb.RangeRequest_SortTarget(f.varint())
		case 7 << 3:
			r.Serializable = f.bool()
		case 8 << 3:
			r.KeysOnly = f.bool()
		case 9 << 3:
			r.CountOnly = f.bool()
		case 10 << 3:
			r.MinModRevision = f.int64()
		case 11 << 3:
			r.MaxModRevision = f.int64()
		case 12 << 3:
			r.MinCreateRevision = f.int64()
		case 13 << 3:
			r.MaxCreateRevision = f.int64()
		case 0:
			return !f.bad
		default:
			return false
		}
	}
}

func decodePut(data []byte, r *pb.PutRequest) bool {
	f := fields{data: data}
	for {
		switch f.next() {
		case 1<<3 | 2:
			r.Key = f.bytes()
		case 2<<3 | 2:
			r.Value = f.bytes()
		case 3 << 3:
			r.Lease = f.int64()
		case 4 << 3:
			r.PrevKv = f.bool()
		case 5 << 3:
			r.IgnoreValue = f.bool()
		case 6 << 3:
			r.IgnoreLease = f.bool()
		case 0:
			return !f.bad
		default:
			return false
		}
	}
}

func decodeDelete(data []byte, r *pb.DeleteRangeRequest) bool {
	f := fields{data: data}
	for {
		switch f.next() {
		case 1<<3 | 2:
			r.Key = f.bytes()
		case 2<<3 | 2:
			r.RangeEnd = f.bytes()
		case 3 << 3:
			r.PrevKv = f.bool()
		case 0:
			return !f.bad
		default:
			return false
		}
	}
}
