package pebble

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/miruvor/miruvor/internal/kv"
)

// batchBytesMax bounds a batch; Pebble itself panics at 4 GiB.
const batchBytesMax = 1 << 30

var errBatchUsed = errors.New("pebble: batch was already committed or closed")

// batch implements engine.Batch.
type batch struct {
	engine *Engine
	batch  *pebble.Batch // nil once used
}

func (b *batch) Set(key, value []byte) error {
	if err := errors.Join(checkKey(key), b.room(len(key)+len(value))); err != nil {
		return err
	}
	return b.batch.Set(key, value, nil)
}

func (b *batch) Delete(key []byte) error {
	if err := errors.Join(checkKey(key), b.room(len(key))); err != nil {
		return err
	}
	return b.batch.Delete(key, nil)
}

func (b *batch) DeleteRange(start, end []byte) error {
	if err := b.room(len(start) + len(end)); err != nil {
		return err
	}
	start, end = align(start), align(end)
	if bytes.Compare(start, end) >= 0 {
		return nil
	}
	return b.batch.DeleteRange(start, end, nil)
}

// room refuses a write of n bytes that no longer fits.
func (b *batch) room(n int) error {
	if b.batch == nil {
		return errBatchUsed
	}
	if b.batch.Len()+n > batchBytesMax {
		return fmt.Errorf("%w: batch of more than %d bytes", kv.ErrTooLarge, batchBytesMax)
	}
	return nil
}

func (b *batch) Empty() bool {
	return b.batch == nil || b.batch.Empty()
}

func (b *batch) Size() int {
	if b.Empty() {
		return 0
	}
	return b.batch.Len()
}

func (b *batch) Commit() error {
	if b.batch == nil {
		return errBatchUsed
	}
	err := b.engine.commit(b.batch)
	b.batch = nil
	return err
}

func (b *batch) Close() error {
	if b.batch == nil {
		return nil
	}
	err := b.batch.Close()
	b.batch = nil
	return wrap(err, "close batch")
}
