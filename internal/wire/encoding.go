package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is what decoders return for bytes that no encoder of this
// protocol version wrote.
var ErrMalformed = errors.New("malformed message")

// A struct is a sequence of fields, closed by an end mark. A field is a tag
// of one byte (number<<2 | kind), then its value. The kind tells a decoder
// how to step over a field that it does not know, so fields can be added.
//
//	uint    varint; signed integers are cast, booleans are 1
//	bytes   varint length, the bytes
//	struct  fields, end mark
//	list    varint count, then as many structs
//
// A list of numbers is a bytes field that holds them as varints.
// A field is left out when its value is zero, nil or an empty list. An empty
// byte slice that is not nil is written: nil and empty mean different things
// (a range's end, say). docs/wire-format.md lists all numbers; a number is
// never given to another field.
const (
	kindUint   = 0
	kindBytes  = 1
	kindStruct = 2
	kindList   = 3

	kindMask = 3
	tagEnd   = 0
)

func appendEnd(buf []byte) []byte { return append(buf, tagEnd) }

func appendUint(buf []byte, tag byte, v uint64) []byte {
	if v == 0 {
		return buf
	}
	return binary.AppendUvarint(append(buf, tag), v)
}

func appendBool(buf []byte, tag byte, v bool) []byte {
	if !v {
		return buf
	}
	return append(buf, tag, 1)
}

func appendBytes(buf []byte, tag byte, v []byte) []byte {
	if v == nil {
		return buf
	}
	buf = binary.AppendUvarint(append(buf, tag), uint64(len(v)))
	return append(buf, v...)
}

func appendString(buf []byte, tag byte, v string) []byte {
	if v == "" {
		return buf
	}
	buf = binary.AppendUvarint(append(buf, tag), uint64(len(v)))
	return append(buf, v...)
}

// appendCount begins a list of n > 0 structs.
func appendCount(buf []byte, tag byte, n int) []byte {
	return binary.AppendUvarint(append(buf, tag), uint64(n))
}
