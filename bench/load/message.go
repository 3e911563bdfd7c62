package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Messages of etcdserverpb, written and read by hand: field numbers are those of its rpc.proto and
// kv.proto.

const (
	methodRange = "/etcdserverpb.KV/Range"
	methodPut   = "/etcdserverpb.KV/Put"
	methodTxn   = "/etcdserverpb.KV/Txn"
	methodWatch = "/etcdserverpb.Watch/Watch"
)

// Wire types of a field.
const (
	wireVarint = 0
	wireBytes  = 2
)

var errMalformed = errors.New("load: malformed message")

// method is where a request goes.
func (r *Request) method() string {
	switch r.Kind {
	case Put:
		return methodPut
	case Txn:
		return methodTxn
	default:
		return methodRange
	}
}

// encode appends the request's message.
func (r *Request) encode(to []byte) []byte {
	switch r.Kind {
	case Put:
		return r.encodePut(to)
	case Txn:
		return r.encodeTxn(to)
	default:
		return r.encodeRange(to)
	}
}

func (r *Request) encodePut(to []byte) []byte {
	to = appendBytes(to, 1, r.Key)
	return appendBytes(to, 2, r.Value)
}

func (r *Request) encodeRange(to []byte) []byte {
	to = appendBytes(to, 1, r.Key)
	if len(r.End) > 0 {
		to = appendBytes(to, 2, r.End)
	}
	if r.Serializable {
		to = appendVarint(to, 7, 1)
	}
	return to
}

// encodeTxn compares the create revision with 0: GREATER (1), CREATE (1).
func (r *Request) encodeTxn(to []byte) []byte {
	var room [1024]byte
	compare := appendVarint(room[:0], 1, 1)
	compare = appendVarint(compare, 2, 1)
	compare = appendBytes(compare, 3, r.Key)
	compare = appendVarint(compare, 5, 0)
	to = appendBytes(to, 1, compare)
	put := r.encodePut(room[:0])
	to = appendTag(to, 2, wireBytes) // success: RequestOp
	to = binary.AppendUvarint(to, uint64(1+uvarintLen(len(put))+len(put)))
	return appendBytes(to, 2, put) // request_put
}

// encodeWatch is a WatchCreateRequest for [key, end) in a WatchRequest.
func encodeWatch(key, end []byte, watchID int64) []byte {
	create := appendBytes(nil, 1, key)
	create = appendBytes(create, 2, end)
	create = appendVarint(create, 7, uint64(watchID))
	return appendBytes(nil, 1, create)
}

func appendTag(to []byte, field, wire int) []byte {
	return binary.AppendUvarint(to, uint64(field<<3|wire))
}

func appendVarint(to []byte, field int, value uint64) []byte {
	return binary.AppendUvarint(appendTag(to, field, wireVarint), value)
}

func appendBytes(to []byte, field int, value []byte) []byte {
	to = binary.AppendUvarint(appendTag(to, field, wireBytes), uint64(len(value)))
	return append(to, value...)
}

func uvarintLen(n int) int {
	length := 1
	for ; n >= 0x80; n >>= 7 {
		length++
	}
	return length
}

// field takes the next field off a message: its number, and its value as a number or as bytes.
func field(in []byte) (number int, value uint64, content, rest []byte, err error) {
	tag, n := binary.Uvarint(in)
	if n <= 0 {
		return 0, 0, nil, nil, errMalformed
	}
	in = in[n:]
	value, n = binary.Uvarint(in)
	if n <= 0 {
		return 0, 0, nil, nil, errMalformed
	}
	in = in[n:]
	switch tag & 7 {
	case wireVarint:
		return int(tag >> 3), value, nil, in, nil
	case wireBytes:
		if uint64(len(in)) < value {
			return 0, 0, nil, nil, errMalformed
		}
		return int(tag >> 3), value, in[:value], in[value:], nil
	}
	return 0, 0, nil, nil, fmt.Errorf("%w: wire type %d", errMalformed, tag&7)
}

// decode reads the answer to a request of the kind.
func (a *Answer) decode(kind Kind, in []byte) error {
	*a = Answer{}
	for len(in) > 0 {
		number, value, content, rest, err := field(in)
		if err != nil {
			return err
		}
		in = rest
		switch {
		case number == 1:
			a.Revision, err = number64(content, 3)
		case number == 2 && kind == Txn:
			a.Succeeded = value != 0
		case number == 2 && kind != Put && content != nil:
			if a.Keys++; a.Keys == 1 {
				a.FirstKey, err = bytesOf(content, 1)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// number64 finds a number among the fields of a message; 0 if it isn't there.
func number64(in []byte, want int) (int64, error) {
	for len(in) > 0 {
		number, value, _, rest, err := field(in)
		if err != nil {
			return 0, err
		}
		if number == want {
			return int64(value), nil
		}
		in = rest
	}
	return 0, nil
}

// bytesOf finds bytes among the fields of a message; nil if they aren't there.
func bytesOf(in []byte, want int) ([]byte, error) {
	for len(in) > 0 {
		number, _, content, rest, err := field(in)
		if err != nil {
			return nil, err
		}
		if number == want {
			return content, nil
		}
		in = rest
	}
	return nil, nil
}
