package memory

import (
	"bytes"

	"github.com/tidwall/btree"
)

// place is where an iterator stands.
type place uint8

const (
	atStart place = iota // before the first key, or not moved yet
	atKey
	atEnd // after the last key
)

// iter implements engine.Iterator over a tree that does not change.
type iter struct {
	lower, upper []byte
	it           btree.IterG[pair]
	place        place
}

func newIter(t *tree, lower, upper []byte) *iter {
	return &iter{lower: lower, upper: upper, it: t.Iter()}
}

func (i *iter) First() bool {
	if i.lower == nil {
		return i.forward(i.it.First())
	}
	return i.forward(i.it.Seek(pair{key: i.lower}))
}

func (i *iter) Last() bool {
	if i.upper == nil {
		return i.backward(i.it.Last())
	}
	return i.before(i.upper)
}

func (i *iter) SeekGE(key []byte) bool {
	if bytes.Compare(key, i.lower) < 0 {
		key = i.lower
	}
	return i.forward(i.it.Seek(pair{key: key}))
}

func (i *iter) SeekLT(key []byte) bool {
	if i.upper != nil && bytes.Compare(key, i.upper) > 0 {
		key = i.upper
	}
	return i.before(key)
}

func (i *iter) Next() bool {
	switch i.place {
	case atStart:
		return i.First()
	case atKey:
		return i.forward(i.it.Next())
	default:
		return false
	}
}

// leaveSteps is how many steps are tried before a seek, which costs as much as
// many of them: what is looked for is mostly near.
const leaveSteps = 4

func (i *iter) Leave(past []byte) bool {
	for range leaveSteps {
		if !i.Next() || bytes.Compare(i.Key(), past) >= 0 {
			return i.place == atKey
		}
	}
	return i.SeekGE(past)
}

func (i *iter) Prev() bool {
	switch i.place {
	case atEnd:
		return i.Last()
	case atKey:
		return i.backward(i.it.Prev())
	default:
		return false
	}
}

func (i *iter) Key() []byte   { return i.it.Item().key }
func (i *iter) Value() []byte { return i.it.Item().value }
func (i *iter) Error() error  { return nil }
func (i *iter) Close() error  { return nil }

// before moves to the last key < key.
func (i *iter) before(key []byte) bool {
	if i.it.Seek(pair{key: key}) {
		return i.backward(i.it.Prev())
	}
	return i.backward(i.it.Last())
}

// forward records where a move towards higher keys ended.
func (i *iter) forward(ok bool) bool {
	ok = ok && (i.upper == nil || bytes.Compare(i.Key(), i.upper) < 0)
	i.place = atEnd
	if ok {
		i.place = atKey
	}
	return ok
}

// backward records where a move towards lower keys ended.
func (i *iter) backward(ok bool) bool {
	ok = ok && bytes.Compare(i.Key(), i.lower) >= 0
	i.place = atStart
	if ok {
		i.place = atKey
	}
	return ok
}
