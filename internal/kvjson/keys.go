package kvjson

import (
	"github.com/miruvor/miruvor/internal/kv"
)

// Keys names one key, or a range of keys by a prefix or by its bounds. A
// range starts at start, or at the first key there is, and stops before end,
// or at the last key there is if end is missing or empty.
type Keys struct {
	Key          *string `json:"key,omitempty"`
	KeyBase64    *string `json:"key_base64,omitempty"`
	Prefix       *string `json:"prefix,omitempty"`
	PrefixBase64 *string `json:"prefix_base64,omitempty"`
	Start        *string `json:"start,omitempty"`
	StartBase64  *string `json:"start_base64,omitempty"`
	End          *string `json:"end,omitempty"`
	EndBase64    *string `json:"end_base64,omitempty"`
}

// Range is the range that k names. Naming nothing is refused, so that a
// forgotten field does not mean every key.
func (k *Keys) Range() (kv.Range, error) {
	var named struct{ key, prefix, start, end []byte }
	for _, field := range []struct {
		name           string
		text, inBase64 *string
		into           *[]byte
	}{
		{"key", k.Key, k.KeyBase64, &named.key},
		{"prefix", k.Prefix, k.PrefixBase64, &named.prefix},
		{"start", k.Start, k.StartBase64, &named.start},
		{"end", k.End, k.EndBase64, &named.end},
	} {
		var err error
		if *field.into, err = decode(field.name, field.text, field.inBase64); err != nil {
			return kv.Range{}, err
		}
	}
	return NewRange(named.key, named.prefix, named.start, named.end)
}

// NewRange is the range that one of key, prefix, and start with end names;
// nil ones are not given.
func NewRange(key, prefix, start, end []byte) (kv.Range, error) {
	bounds := start != nil || end != nil
	switch {
	case key != nil && prefix != nil:
		return kv.Range{}, kv.Invalid("key and prefix exclude each other")
	case (key != nil || prefix != nil) && bounds:
		return kv.Range{}, kv.Invalid("start and end go with neither key nor prefix")
	case key != nil:
		return kv.PointRange(key), nil
	case prefix != nil:
		return kv.PrefixRange(prefix), nil
	case !bounds:
		return kv.Range{}, kv.Invalid("no keys are named: key, prefix, start or end is missing")
	case len(end) == 0:
		end = nil
	}
	return kv.Range{Start: start, End: end}, nil
}

// keysOf names r.
func keysOf(r kv.Range) Keys {
	var k Keys
	if IsPoint(r) {
		k.Key, k.KeyBase64 = encode(r.Start)
		return k
	}
	r = Bounds(r)
	k.Start, k.StartBase64 = encode(r.Start)
	if r.End != nil {
		k.End, k.EndBase64 = encode(r.End)
	}
	return k
}

// Bounds is r, or where r has an end that is empty and so holds no keys, a
// range without keys whose end is not: an empty one means none in JSON.
func Bounds(r kv.Range) kv.Range {
	if r.End != nil && len(r.End) == 0 {
		return kv.Range{Start: []byte{1}, End: []byte{1}}
	}
	return r
}

// IsPoint tells whether r is the range of one key that is not empty.
func IsPoint(r kv.Range) bool {
	return len(r.Start) > 0 && r.IsPoint()
}
