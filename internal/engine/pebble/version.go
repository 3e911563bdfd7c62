package pebble

import (
	"bytes"
	"slices"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// Package keyspace lays version keys out as
//
//	versionSpace, escaped user key, terminator, revision (8 bytes)
//
// in which no escaped user key holds the terminator's two bytes. Pebble sorts
// by prefix and then by revision, which is bytewise order as long as keys in
// this space have one of three shapes: a version, a version's prefix, or no
// terminator at all. Others are not stored, and align replaces them as bounds.
const (
	versionSpace  = 0x04
	revisionBytes = 8
)

var terminator = []byte{0x00, 0x01}

// split returns the length of key without its revision, or the whole length
// of what is no version key.
func split(key []byte) int {
	if n := len(key) - revisionBytes; n > 0 && isVersionPrefix(key[:n]) {
		return n
	}
	return len(key)
}

// isVersionPrefix reports whether key is a version key without its revision.
func isVersionPrefix(key []byte) bool {
	return len(key) > len(terminator) && key[0] == versionSpace && bytes.HasSuffix(key, terminator)
}

// wellFormed reports whether key has a shape that can be stored.
func wellFormed(key []byte) bool {
	_, rest, found := cutVersion(key)
	return !found || len(rest) == 0 || len(rest) == revisionBytes
}

// checkKey refuses a key that can't be stored.
func checkKey(key []byte) error {
	if !wellFormed(key) {
		return kv.Invalid("key %x is in the version space but has no revision of %d bytes",
			key, revisionBytes)
	}
	return nil
}

// cutVersion cuts key after its first terminator, if it is in the version
// space and has one.
func cutVersion(key []byte) (prefix, rest []byte, found bool) {
	if len(key) == 0 || key[0] != versionSpace {
		return nil, nil, false
	}
	i := bytes.Index(key, terminator)
	if i < 0 {
		return nil, nil, false
	}
	n := i + len(terminator)
	return key[:n], key[n:], true
}

// align returns a well formed key that has the same storable keys below and
// above it as key. It returns key itself if that is well formed.
func align(key []byte) []byte {
	if wellFormed(key) {
		return key
	}
	prefix, rest, _ := cutVersion(key)
	if len(rest) < revisionBytes {
		return slices.Concat(prefix, rest, make([]byte, revisionBytes-len(rest)))
	}
	next := slices.Concat(prefix, rest[:revisionBytes])
	for i := len(next) - 1; i >= len(prefix); i-- {
		if next[i]++; next[i] != 0 {
			return next
		}
	}
	next = next[:len(prefix)]
	next[len(prefix)-1]++
	return next
}

// alignSpans aligns the ends of spans.
func alignSpans(spans []engine.Span) []engine.Span {
	out := make([]engine.Span, len(spans))
	for i, s := range spans {
		out[i] = engine.Span{Start: align(s.Start), End: align(s.End)}
	}
	return out
}
