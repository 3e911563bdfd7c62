package pebble

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
)

// comparer orders keys as bytes.Compare does. It differs from Pebble's own in
// that it tells the prefix of a version key from its revision, so that one
// filter entry serves all versions of a user key.
//
// Pebble wants prefixes to order keys before suffixes do. That holds for keys
// of the shapes of version.go, as their terminator makes prefixes prefix-free.
// It wants more for synthetic prefixes, which this engine never uses.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "miruvor.v1"
	c.Split = split
	c.Separator = separator
	c.Successor = successor
	c.ImmediateSuccessor = immediateSuccessor
	return &c
}()

// separator appends a short key k with a <= k < b. It shortens within
// prefixes only, so that k never looks like a version of another key.
func separator(dst, a, b []byte) []byte {
	n := len(dst)
	dst = pebble.DefaultComparer.Separator(dst, a[:split(a)], b[:split(b)])
	if bytes.Compare(dst[n:], a) < 0 {
		return append(dst[:n], a...)
	}
	return dst
}

// successor appends a short key k with a <= k.
func successor(dst, a []byte) []byte {
	n := len(dst)
	dst = pebble.DefaultComparer.Successor(dst, a[:split(a)])
	if bytes.Compare(dst[n:], a) < 0 {
		return append(dst[:n], a...)
	}
	return dst
}

// immediateSuccessor appends the lowest prefix above the prefix a, which has to
// be above every version of a as well: Pebble cuts range deletions there.
func immediateSuccessor(dst, a []byte) []byte {
	dst = append(dst, a...)
	if !isVersionPrefix(a) {
		return append(dst, 0)
	}
	dst[len(dst)-1]++
	return dst
}
