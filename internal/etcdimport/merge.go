package etcdimport

import (
	"bytes"
	"iter"

	"github.com/miruvor/miruvor/internal/kv"
)

// pair is a key as both sides have it; nil is a side that does not.
type pair struct{ source, target *kv.KeyValue }

func (p pair) key() []byte {
	if p.source != nil {
		return p.source.Key
	}
	return p.target.Key
}

// same tells whether both sides have the key with the same value and lease.
func (p pair) same() bool {
	return p.source != nil && p.target != nil && p.source.Lease == p.target.Lease &&
		bytes.Equal(p.source.Value, p.target.Value)
}

// merge pairs the keys of two scans, each in ascending order. It ends with the
// first error of one of them.
func merge(source, target iter.Seq2[kv.KeyValue, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		left, right := newCursor(source), newCursor(target)
		defer left.stop()
		defer right.stop()
		for left.read() && right.read() && (left.ok || right.ok) {
			var p pair
			order := compare(left, right)
			if order <= 0 {
				p.source = left.take()
			}
			if order >= 0 {
				p.target = right.take()
			}
			if !yield(p, nil) {
				return
			}
		}
		for _, c := range [...]*cursor{left, right} {
			if c.err != nil {
				yield(pair{}, c.err)
				return
			}
		}
	}
}

// compare orders the next keys of two cursors; the end is above all keys.
func compare(a, b *cursor) int {
	switch {
	case !a.ok:
		return 1
	case !b.ok:
		return -1
	}
	return bytes.Compare(a.head.Key, b.head.Key)
}

// cursor is a scan that can be looked at before it goes on.
type cursor struct {
	next func() (kv.KeyValue, error, bool)
	stop func()
	head kv.KeyValue
	// ok tells that head is the next key.
	ok  bool
	err error
}

func newCursor(scan iter.Seq2[kv.KeyValue, error]) *cursor {
	c := &cursor{}
	c.next, c.stop = iter.Pull2(scan)
	return c
}

// read makes head the next key, if there is one. It returns false after an error.
func (c *cursor) read() bool {
	if !c.ok && c.err == nil {
		c.head, c.err, c.ok = c.next()
		c.ok = c.ok && c.err == nil
	}
	return c.err == nil
}

func (c *cursor) take() *kv.KeyValue {
	c.ok = false
	taken := c.head
	return &taken
}
