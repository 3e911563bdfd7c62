package kv

import (
	"bytes"
	"fmt"
	"slices"
)

// checkDuplicates returns ErrDuplicateKey if a key that one of ops puts is
// put or deleted by another of them.
func checkDuplicates(ops []Op) error {
	if len(ops) == 0 || (len(ops) == 1 && ops[0].Txn == nil) {
		return nil
	}
	_, err := writesOf(ops)
	return err
}

// writes is what the operations of a branch put and delete. op is the index,
// in the branch, of the operation that a write belongs to.
type writes struct {
	puts    []writtenKey
	deletes []writtenRange
}

type writtenKey struct {
	key []byte
	op  int
}

type writtenRange struct {
	keys Range
	op   int
}

// writesOf collects the writes of ops, or returns ErrDuplicateKey. The two branches of a
// nested transaction count as one operation, as only one of them runs.
func writesOf(ops []Op) (writes, error) {
	var w writes
	for i, op := range ops {
		if op.Txn == nil {
			w = w.add(op, i)
			continue
		}
		for _, branch := range [...][]Op{op.Txn.Success, op.Txn.Failure} {
			nested, err := writesOf(branch)
			if err != nil {
				return writes{}, err
			}
			w = w.merge(nested, i)
		}
	}
	return w, w.check()
}

func (w writes) add(op Op, i int) writes {
	switch {
	case op.Put != nil:
		w.puts = append(w.puts, writtenKey{op.Put.Key, i})
	case op.Delete != nil:
		w.deletes = append(w.deletes, writtenRange{op.Delete.Range, i})
	}
	return w
}

func (w writes) merge(nested writes, i int) writes {
	for _, put := range nested.puts {
		w.puts = append(w.puts, writtenKey{put.key, i})
	}
	for _, del := range nested.deletes {
		w.deletes = append(w.deletes, writtenRange{del.keys, i})
	}
	return w
}

func (w writes) check() error {
	slices.SortFunc(w.puts, func(a, b writtenKey) int { return bytes.Compare(a.key, b.key) })
	for i := 1; i < len(w.puts); i++ {
		a, b := w.puts[i-1], w.puts[i]
		if a.op != b.op && bytes.Equal(a.key, b.key) {
			return fmt.Errorf("%w: %s is put twice", ErrDuplicateKey, quote(a.key))
		}
	}
	for _, del := range w.deletes {
		if err := w.checkDelete(del); err != nil {
			return err
		}
	}
	return nil
}

func (w writes) checkDelete(del writtenRange) error {
	i, _ := slices.BinarySearchFunc(w.puts, del.keys.Start,
		func(put writtenKey, start []byte) int { return bytes.Compare(put.key, start) })
	for ; i < len(w.puts) && del.keys.Contains(w.puts[i].key); i++ {
		if w.puts[i].op != del.op {
			return fmt.Errorf("%w: %s is put and deleted", ErrDuplicateKey,
				quote(w.puts[i].key))
		}
	}
	return nil
}

// quote prints a key for an error text, and of a long one its beginning.
func quote(key []byte) string {
	const shown = 64
	if len(key) > shown {
		return fmt.Sprintf("%q… (%d bytes)", key[:shown], len(key))
	}
	return fmt.Sprintf("%q", key)
}
