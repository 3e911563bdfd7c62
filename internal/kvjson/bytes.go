package kvjson

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/miruvor/miruvor/internal/kv"
)

// encode is the two forms of b, one of which is nil.
func encode(b []byte) (text, inBase64 *string) {
	if utf8.Valid(b) {
		return new(string(b)), nil
	}
	return nil, new(base64.StdEncoding.EncodeToString(b))
}

// decode reads the two forms of the field name, of which at most one may be
// given. It returns nil if none is.
func decode(name string, text, inBase64 *string) ([]byte, error) {
	switch {
	case text != nil && inBase64 != nil:
		return nil, kv.Invalid("%s and %s_base64 exclude each other", name, name)
	case text != nil:
		return append([]byte{}, *text...), nil
	case inBase64 != nil:
		b, err := base64.StdEncoding.DecodeString(*inBase64)
		if err != nil {
			return nil, kv.Invalid("%s_base64: %v", name, err)
		}
		return append([]byte{}, b...), nil
	}
	return nil, nil
}

const hex = "0123456789abcdef"

// appendField appends a member to the object at the end of dst: the name, or
// the name with _base64, and b.
func appendField(dst []byte, name string, b []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	if utf8.Valid(b) {
		return appendString(append(dst, `":`...), b)
	}
	dst = append(dst, `_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// appendString appends b, which is valid UTF-8, as a JSON string. Only what
// JSON forbids is escaped.
func appendString(dst, b []byte) []byte {
	dst = append(dst, '"')
	done := 0
	for i, c := range b {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, b[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	dst = append(dst, b[done:]...)
	return append(dst, '"')
}
