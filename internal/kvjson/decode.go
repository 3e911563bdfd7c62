package kvjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miruvor/miruvor/internal/kv"
)

// Decode reads one JSON value into the struct that into points at. Anything
// that would be dropped or changed on the way is refused with kv.ErrInvalid.
func Decode(body []byte, into any) error {
	if !utf8.Valid(body) {
		return kv.Invalid("the body is not valid UTF-8; send bytes in a _base64 field")
	}
	if at := loneSurrogate(body); at >= 0 {
		return kv.Invalid("byte %d of the body begins half a surrogate pair, "+
			"which stands for no character; send bytes in a _base64 field", at)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return readable(body, err)
	}
	if string(bytes.TrimSpace(body)) == "null" {
		return kv.Invalid("the body is null, it must be %s", wanted(reflect.TypeOf(into).Elem()))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return kv.Invalid("the body goes on after byte %d, where its value ends",
			decoder.InputOffset())
	}
	return nil
}

// readable says what is wrong in words of JSON, not of Go.
func readable(body []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, kv.ErrInvalid):
		return err
	case errors.Is(err, io.EOF):
		return kv.Invalid("the body is empty, JSON is expected")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return kv.Invalid("the body ends in the middle of its JSON")
	case errors.As(err, &syntax):
		return kv.Invalid("byte %d of the body is not JSON: %v", syntax.Offset, syntax)
	case errors.As(err, &kind):
		return misfit(body, kind)
	}
	return kv.Invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
}

// loneSurrogate is the offset of an escape like \ud800 without its other
// half, or -1. Decoders put U+FFFD in its place, which would change a key.
func loneSurrogate(body []byte) int {
	for i := 0; i+1 < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		unit := escapedUnit(body[i:])
		switch {
		case unit < 0:
			i++ // another escape, two bytes long
		case unit >= 0xdc00 && unit <= 0xdfff:
			return i
		case unit >= 0xd800 && unit <= 0xdbff:
			if low := escapedUnit(body[i+6:]); low < 0xdc00 || low > 0xdfff {
				return i
			}
			i += 11
		default:
			i += 5
		}
	}
	return -1
}

// escapedUnit is the UTF-16 unit of the \uXXXX that b begins with, or -1.
func escapedUnit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(unit)
}
