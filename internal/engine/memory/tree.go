package memory

import (
	"bytes"
	"fmt"

	"github.com/tidwall/btree"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/kv"
)

// treeDegree keeps nodes small: a write after a copy duplicates every node
// on its path.
const treeDegree = 8

// pair is a key and its value. Neither is ever changed.
type pair struct {
	key, value []byte
}

type tree = btree.BTreeG[pair]

func newTree() *tree {
	less := func(a, b pair) bool { return bytes.Compare(a.key, b.key) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{Degree: treeDegree, NoLocks: true})
}

func get(t *tree, key []byte) ([]byte, error) {
	p, ok := t.Get(pair{key: key})
	if !ok {
		return nil, engine.ErrNotFound
	}
	return bytes.Clone(p.value), nil
}

func seekPrefix(t *tree, prefix, seek []byte) (key, value []byte, err error) {
	if err := engine.CheckSeekPrefix(prefix, seek); err != nil {
		return nil, nil, err
	}
	err = engine.ErrNotFound
	t.Ascend(pair{key: seek}, func(p pair) bool {
		if bytes.HasPrefix(p.key, prefix) {
			key, value, err = bytes.Clone(p.key), bytes.Clone(p.value), nil
		}
		return false
	})
	return key, value, err
}

// checkOrder reports keys that do not ascend.
func checkOrder(t *tree) error {
	var err error
	var last *pair
	t.Scan(func(p pair) bool {
		if last != nil && bytes.Compare(last.key, p.key) >= 0 {
			err = fmt.Errorf("%w: key %x follows %x", kv.ErrCorrupt, p.key, last.key)
		}
		last = &p
		return err == nil
	})
	return err
}
