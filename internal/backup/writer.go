package backup

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/miruvor/miruvor/internal/kv"
)

// writer puts a backup into w, block by block. After an error it is done with.
type writer struct {
	w   io.Writer
	sum hash.Hash
	// written is how many bytes of the file there are.
	written int64
	// body is the block that is being filled, of that kind.
	body    []byte
	kind    kind
	records uint32
	keys    int64
	leases  int64
	// head is a buffer.
	head []byte
}

func newWriter(w io.Writer, h Header) (*writer, error) {
	b := &writer{w: w, sum: sha256.New()}
	return b, b.write(appendHeader(nil, h))
}

func (b *writer) write(data []byte) error {
	if _, err := b.w.Write(data); err != nil {
		return fmt.Errorf("backup: at offset %d: %w", b.written, err)
	}
	b.sum.Write(data) // never fails
	b.written += int64(len(data))
	return nil
}

// key adds a key, which must be above those before.
func (b *writer) key(k *kv.KeyValue) error {
	if len(k.Key) > keyBytesMax || len(k.Value) > valueBytesMax {
		return fmt.Errorf("backup: %w: a key of %d bytes with a value of %d; "+
			"a backup takes %d and %d", kv.ErrTooLarge, len(k.Key), len(k.Value),
			keyBytesMax, valueBytesMax)
	}
	b.body = appendKey(b.body, k)
	b.keys++
	return b.added(kindKeys)
}

// lease adds a lease, which must be above those before. No key follows.
func (b *writer) lease(l *kv.Lease) error {
	if b.kind == kindKeys {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.body = appendLease(b.body, l)
	b.leases++
	return b.added(kindLeases)
}

func (b *writer) added(k kind) error {
	b.kind = k
	b.records++
	if len(b.body) < blockBytesGoal {
		return nil
	}
	return b.flush()
}

// flush ends the block, if it holds anything.
func (b *writer) flush() error {
	if len(b.body) == 0 {
		return nil
	}
	b.head = appendBlockHeader(b.head[:0], b.kind, b.records, b.body)
	if err := b.write(b.head); err != nil {
		return err
	}
	if err := b.write(b.body); err != nil {
		return err
	}
	b.body, b.records, b.kind = b.body[:0], 0, 0
	return nil
}

// finish ends the file.
func (b *writer) finish(s *Summary) error {
	if err := b.flush(); err != nil {
		return err
	}
	b.body = appendEnd(b.body, b.keys, b.leases, b.written+blockHeaderBytes)
	b.kind = kindEnd
	if err := b.flush(); err != nil {
		return err
	}
	b.sum.Sum(s.Checksum[:0])
	if err := b.write(s.Checksum[:]); err != nil {
		return err
	}
	s.Keys, s.Leases, s.Bytes = b.keys, b.leases, b.written
	return nil
}
