package keyspace

import "bytes"

// A zero byte of the key becomes escape escapedZero, and the key ends with
// escape terminator. The terminator sorts below everything that can follow
// in a longer key, which is what keeps the order.
const (
	escape      = 0x00
	terminator  = 0x01
	escapedZero = 0xff
)

// appendEscaped appends esc(key).
func appendEscaped(buf, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			break
		}
		buf = append(buf, key[:i]...)
		buf = append(buf, escape, escapedZero)
		key = key[i+1:]
	}
	buf = append(buf, key...)
	return append(buf, escape, terminator)
}

// escapedLen is the length of the esc(key) that b begins with, terminator
// included, and whether the key has no zero byte, so that it stands in b as
// it is.
func escapedLen(b []byte) (length int, plain bool, err error) {
	plain = true
	for i := 0; ; {
		j := bytes.IndexByte(b[i:], escape)
		if j < 0 || i+j+1 == len(b) {
			return 0, false, corrupt("key has no end", b)
		}
		i += j + 2
		switch b[i-1] {
		case terminator:
			return i, plain, nil
		case escapedZero:
			plain = false
		default:
			return 0, false, corrupt("key has an unknown escape", b)
		}
	}
}

// unescape undoes appendEscaped on what escapedLen measured. The result
// aliases b when the key is plain.
func unescape(b []byte, plain bool) []byte {
	b = b[:len(b)-2]
	if plain {
		return b[:len(b):len(b)]
	}
	return bytes.ReplaceAll(b, []byte{escape, escapedZero}, []byte{escape})
}
