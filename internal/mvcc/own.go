package mvcc

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// ownWrites is what a transaction wrote so far.
type ownWrites struct {
	rev    kv.Revision
	writes []Write
	// order lists places in writes by key. It is brought up to date when
	// somebody looks, which a transaction of one write never does.
	order []int32
}

// add appends a write. A key must not be written twice.
func (o *ownWrites) add(w Write) error {
	if _, found := o.find(w.Key); found {
		return fmt.Errorf("%w: %q is written twice", kv.ErrDuplicateKey, w.Key)
	}
	o.writes = append(o.writes, w)
	return nil
}

func (o *ownWrites) lookup(key []byte) (version, bool) {
	i, found := o.find(key)
	if !found {
		return version{}, false
	}
	return o.version(i), true
}

// version is the i-th in the order of keys.
func (o *ownWrites) version(i int) version {
	return inFlight(&o.writes[o.order[i]], o.rev)
}

// find is the place of key in the order of keys, or where it would be.
func (o *ownWrites) find(key []byte) (i int, found bool) {
	for len(o.order) < len(o.writes) {
		next := int32(len(o.order))
		i, _ := o.search(o.writes[next].Key)
		o.order = slices.Insert(o.order, i, next)
	}
	return o.search(key)
}

func (o *ownWrites) search(key []byte) (i int, found bool) {
	return slices.BinarySearchFunc(o.order, key, func(i int32, key []byte) int {
		return bytes.Compare(o.writes[i].Key, key)
	})
}
