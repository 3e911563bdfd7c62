package memory

import (
	"bytes"
	"errors"

	"github.com/tidwall/btree"
)

var errBatchUsed = errors.New("memory: batch was already committed or closed")

type opKind uint8

const (
	opSet opKind = iota
	opDelete
	opDeleteRange
)

// op is one write. For a range, value is its end.
type op struct {
	kind       opKind
	key, value []byte
}

// newOp copies key and value into one allocation.
func newOp(kind opKind, key, value []byte) op {
	buf := make([]byte, len(key)+len(value))
	copy(buf, key)
	copy(buf[len(key):], value)
	return op{kind: kind, key: buf[:len(key):len(key)], value: buf[len(key):]}
}

// apply writes ops to t in order.
func apply(t *tree, ops []op) {
	for _, o := range ops {
		switch o.kind {
		case opSet:
			t.Set(pair{o.key, o.value})
		case opDelete:
			t.Delete(pair{key: o.key})
		case opDeleteRange:
			deleteRange(t, o.key, o.value)
		}
	}
}

func deleteRange(t *tree, start, end []byte) {
	if bytes.Compare(start, end) >= 0 {
		return
	}
	t.DeleteRange(pair{key: start}, pair{key: end}, &btree.DeleteRangeOptions{NoReturn: true})
}

// batch implements engine.Batch.
type batch struct {
	engine *Engine
	ops    []op
	size   int
	used   bool
}

func (b *batch) Set(key, value []byte) error {
	return b.add(opSet, key, value)
}

func (b *batch) Delete(key []byte) error {
	return b.add(opDelete, key, nil)
}

func (b *batch) DeleteRange(start, end []byte) error {
	return b.add(opDeleteRange, start, end)
}

func (b *batch) add(kind opKind, key, value []byte) error {
	if b.used {
		return errBatchUsed
	}
	b.ops = append(b.ops, newOp(kind, key, value))
	b.size += len(key) + len(value)
	return nil
}

func (b *batch) Empty() bool {
	return len(b.ops) == 0
}

func (b *batch) Size() int {
	return b.size
}

func (b *batch) Commit() error {
	if b.used {
		return errBatchUsed
	}
	b.used = true
	if len(b.ops) == 0 {
		return nil
	}
	return b.engine.commit(b.ops)
}

func (b *batch) Close() error {
	b.used = true
	return nil
}
