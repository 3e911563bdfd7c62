package wire

import "encoding/binary"

// skipDepthMax bounds how deep an unknown field may nest.
const skipDepthMax = 32

// reader takes fields off a buffer. After the first malformed byte it is
// bad: it yields end marks and zeros, so that every loop over fields ends,
// and the caller looks at bad once. Byte slices that it returns alias buf.
type reader struct {
	buf []byte
	bad bool
	// depth counts the transactions around the current field.
	depth int
}

func (r *reader) fail() {
	r.bad = true
	r.buf = nil
}

// require fails the reader unless ok.
func (r *reader) require(ok bool) {
	if !ok {
		r.fail()
	}
}

func (r *reader) tag() byte {
	if len(r.buf) == 0 {
		r.fail() // every struct ends with an end mark
		return tagEnd
	}
	tag := r.buf[0]
	r.buf = r.buf[1:]
	return tag
}

func (r *reader) uint() uint64 {
	if len(r.buf) > 0 && r.buf[0] < 0x80 {
		v := r.buf[0]
		r.buf = r.buf[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// uintMax reads a number that is at most limit.
func (r *reader) uintMax(limit uint64) uint64 {
	v := r.uint()
	if v > limit {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) bool() bool { return r.uintMax(1) == 1 }

func (r *reader) bytes() []byte {
	n := r.uint()
	if r.bad || n > uint64(len(r.buf)) {
		r.fail()
		return nil
	}
	v := r.buf[:n:n]
	r.buf = r.buf[n:]
	return v
}

func (r *reader) string() string { return string(r.bytes()) }

// count begins a list whose encoder spends at least sizeMin bytes on an
// element. So a short input can't ask for a long slice. A list is not empty.
func (r *reader) count(sizeMin int) int {
	n := r.uint()
	if n == 0 || n > uint64(len(r.buf)/sizeMin) {
		r.fail()
		return 0
	}
	return int(n)
}

// skip steps over the value of a field that this version does not know.
func (r *reader) skip(tag byte) { r.skipValue(tag, skipDepthMax) }

func (r *reader) skipValue(tag byte, depth int) {
	switch tag & kindMask {
	case kindUint:
		r.uint()
	case kindBytes:
		r.bytes()
	case kindStruct:
		r.skipStruct(depth - 1)
	case kindList:
		for range r.count(1) {
			r.skipStruct(depth - 1)
		}
	}
}

func (r *reader) skipStruct(depth int) {
	if depth < 0 {
		r.fail()
	}
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		r.skipValue(tag, depth)
	}
}

// finish is the outcome of reading a whole value: what is left, or
// ErrMalformed.
func (r *reader) finish() ([]byte, error) {
	if r.bad {
		return nil, ErrMalformed
	}
	return r.buf, nil
}
