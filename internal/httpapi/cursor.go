package httpapi

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/miruvor/miruvor/internal/kv"
)

// A cursor is the rest of a range read, as URL-safe base64 of
//
//	version 1 · flags · revision · limit · start, its length first · end
//
// with uvarints for numbers. Clients must not look inside; one that does
// gains nothing that it could not ask for anyway.
const cursorVersion = 1

const (
	cursorReverse = 1 << iota
	cursorKeysOnly
	cursorSerializable
	// cursorBounded tells that there is an end.
	cursorBounded
	cursorFlagsAll = 1<<iota - 1
)

func encodeCursor(req *kv.RangeRequest) string {
	var flags byte
	for _, f := range []struct {
		set  bool
		flag byte
	}{
		{req.Reverse, cursorReverse},
		{req.KeysOnly, cursorKeysOnly},
		{req.Serializable, cursorSerializable},
		{req.End != nil, cursorBounded},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	b := []byte{cursorVersion, flags}
	b = binary.AppendUvarint(b, uint64(req.Revision))
	b = binary.AppendUvarint(b, uint64(req.Limit))
	b = binary.AppendUvarint(b, uint64(len(req.Start)))
	b = append(b, req.Start...)
	b = append(b, req.End...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor returns kv.ErrInvalid for what encodeCursor did not make.
func decodeCursor(text string) (kv.RangeRequest, error) {
	damaged := kv.Invalid("cursor is damaged")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 2 || b[0] != cursorVersion || b[1] > cursorFlagsAll {
		return kv.RangeRequest{}, damaged
	}
	flags, rest := b[1], b[2:]
	var numbers [3]uint64
	for i := range numbers {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(kv.RevisionMax) {
			return kv.RangeRequest{}, damaged
		}
		numbers[i], rest = n, rest[size:]
	}
	revision, limit, startBytes := numbers[0], numbers[1], numbers[2]
	if revision == 0 || limit == 0 || limit > pageKeysMax || startBytes > uint64(len(rest)) {
		return kv.RangeRequest{}, damaged
	}
	req := kv.RangeRequest{
		Revision:     kv.Revision(revision),
		Limit:        int(limit),
		Reverse:      flags&cursorReverse != 0,
		KeysOnly:     flags&cursorKeysOnly != 0,
		Serializable: flags&cursorSerializable != 0,
	}
	req.Start, req.End = rest[:startBytes:startBytes], rest[startBytes:]
	if flags&cursorBounded == 0 {
		if len(req.End) > 0 {
			return kv.RangeRequest{}, damaged
		}
		req.End = nil
	}
	return req, nil
}
