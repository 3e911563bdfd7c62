package watch

import (
	"bytes"

	"github.com/miruvor/miruvor/internal/kv"
)

// index finds the watches that a key is of interest to, in the time of a few
// comparisons beside that for those it finds. It is a treap (Seidel and Aragon,
// 1996) of ranges by their start, in which each node knows the highest end
// below it. Priorities are hashes of the watches' numbers, so that equal
// inputs make equal trees.
type index struct {
	root *indexNode
	size int
}

type indexNode struct {
	watch       *watch
	priority    uint64
	left, right *indexNode
	// end is the highest end of a range in this subtree, nil for no bound.
	end []byte
}

// add takes up a watch, once.
func (x *index) add(w *watch) {
	n := &indexNode{watch: w, priority: mix(w.number), end: w.req.End}
	low, high := split(x.root, w)
	x.root = join(join(low, n), high)
	x.size++
}

// remove drops a watch that is there.
func (x *index) remove(w *watch) {
	low, rest := split(x.root, w)
	x.root = join(low, withoutFirst(rest))
	x.size--
}

// stab calls f with every watch whose range contains key.
func (x *index) stab(key []byte, f func(*watch)) { x.root.stab(key, f) }

func (n *indexNode) stab(key []byte, f func(*watch)) {
	for n != nil && (n.end == nil || bytes.Compare(key, n.end) < 0) {
		n.left.stab(key, f)
		if bytes.Compare(key, n.watch.req.Start) < 0 {
			return // and all to the right begin later
		}
		if end := n.watch.req.End; end == nil || bytes.Compare(key, end) < 0 {
			f(n.watch)
		}
		n = n.right
	}
}

// each calls f with every watch.
func (x *index) each(f func(*watch)) { x.root.each(f) }

func (n *indexNode) each(f func(*watch)) {
	if n != nil {
		n.left.each(f)
		f(n.watch)
		n.right.each(f)
	}
}

// before orders watches: by start, then by number.
func before(a, b *watch) bool {
	if c := bytes.Compare(a.req.Start, b.req.Start); c != 0 {
		return c < 0
	}
	return a.number < b.number
}

// split cuts a tree into what lies before w and the rest.
func split(n *indexNode, w *watch) (low, high *indexNode) {
	if n == nil {
		return nil, nil
	}
	if before(n.watch, w) {
		n.right, high = split(n.right, w)
		n.update()
		return n, high
	}
	low, n.left = split(n.left, w)
	n.update()
	return low, n
}

// join puts two trees together, all of low before all of high.
func join(low, high *indexNode) *indexNode {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.priority > high.priority:
		low.right = join(low.right, high)
		low.update()
		return low
	}
	high.left = join(low, high.left)
	high.update()
	return high
}

func withoutFirst(n *indexNode) *indexNode {
	if n.left == nil {
		return n.right
	}
	n.left = withoutFirst(n.left)
	n.update()
	return n
}

// update computes end anew.
func (n *indexNode) update() {
	n.end = n.watch.req.End
	for _, child := range [...]*indexNode{n.left, n.right} {
		if child != nil {
			n.end = later(n.end, child.end)
		}
	}
}

// later is the higher of two ends, nil for no bound.
func later(a, b []byte) []byte {
	if a == nil || b == nil {
		return nil
	}
	if bytes.Compare(a, b) >= 0 {
		return a
	}
	return b
}

// hull is the smallest range that holds two ranges.
func hull(a, b kv.Range) kv.Range {
	if bytes.Compare(b.Start, a.Start) < 0 {
		a.Start = b.Start
	}
	a.End = later(a.End, b.End)
	return a
}

// mix is a step of splitmix64 (Steele and others, 2014): it spreads what is close.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
