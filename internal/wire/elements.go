package wire

import "encoding/binary"

// appendElements appends a list of structs, which element appends one of.
func appendElements[T any](
	buf []byte, tag byte, list []T, element func([]byte, *T) []byte,
) []byte {
	if len(list) == 0 {
		return buf
	}
	buf = appendCount(buf, tag, len(list))
	for i := range list {
		buf = element(buf, &list[i])
	}
	return buf
}

// elements reads a list of structs. One that takes less than sizeMin bytes is
// malformed: so many short ones can't ask for much memory.
func elements[T any](r *reader, sizeMin int, element func(*reader, *T)) []T {
	out := make([]T, r.count(sizeMin))
	for i := range out {
		before := len(r.buf)
		element(r, &out[i])
		r.require(before-len(r.buf) >= sizeMin)
	}
	return out
}

// number is what a list of numbers may be of.
type number interface{ ~uint32 | ~int64 }

// appendNumbers appends a bytes field that holds the numbers as varints, one
// after the other.
func appendNumbers[T number](buf []byte, tag byte, list []T) []byte {
	if len(list) == 0 {
		return buf
	}
	size := 0
	var scratch [binary.MaxVarintLen64]byte
	for _, v := range list {
		size += binary.PutUvarint(scratch[:], uint64(v))
	}
	buf = binary.AppendUvarint(append(buf, tag), uint64(size))
	for _, v := range list {
		buf = binary.AppendUvarint(buf, uint64(v))
	}
	return buf
}

// numbers reads a bytes field of varints, each at most limit.
func numbers[T number](r *reader, limit uint64) []T {
	in := reader{buf: r.bytes()}
	n := 0
	for _, b := range in.buf {
		if b < 0x80 {
			n++ // the last byte of a varint
		}
	}
	r.require(n > 0)
	out := make([]T, n)
	for i := range out {
		out[i] = T(in.uintMax(limit))
	}
	r.require(!in.bad && len(in.buf) == 0)
	return out
}
