package mvcc

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

// Part is what a transaction writes in one shard.
type Part struct {
	Writes []Write
	// Subs are the places of Writes among all writes of the transaction,
	// ascending. Nil is 0, 1, 2 and so on: there are no others.
	Subs []uint32
}

func (p *Part) sub(i int) uint32 {
	if p.Subs == nil {
		return uint32(i)
	}
	return p.Subs[i]
}

// Check refuses with kv.ErrCorrupt what can't be applied at a revision: one that is
// impossible, and a key that was created later.
func (p *Part) Check(rev kv.Revision) error {
	if rev < kv.FirstRevision || rev > kv.RevisionMax {
		return fmt.Errorf("%w: the impossible revision %d", kv.ErrCorrupt, int64(rev))
	}
	for i := range p.Writes {
		if w := &p.Writes[i]; w.Create > rev {
			return fmt.Errorf("%w: %q at %v is created later, at %v",
				kv.ErrCorrupt, w.Key, rev, w.Create)
		}
	}
	return nil
}

// Split cuts the writes of a transaction into parts, by the shard that of
// tells for a key. The parts share bytes with writes.
func Split(writes []Write, of func(key []byte) kv.ShardID) map[kv.ShardID]*Part {
	parts := map[kv.ShardID]*Part{}
	for i := range writes {
		shard := of(writes[i].Key)
		part := parts[shard]
		if part == nil {
			part = &Part{}
			parts[shard] = part
		}
		part.Writes = append(part.Writes, writes[i])
		part.Subs = append(part.Subs, uint32(i))
	}
	return parts
}

// AppendPart appends the encoding of a part with Subs: that of the writes
// (AppendWrites), then the distance of each sub to the one before.
func AppendPart(buf []byte, p *Part) []byte {
	buf = AppendWrites(buf, p.Writes)
	next := uint32(0)
	for _, sub := range p.Subs {
		buf = binary.AppendUvarint(buf, uint64(sub-next))
		next = sub + 1
	}
	return buf
}

// DecodePart undoes AppendPart. The writes alias data. It returns an error
// that wraps kv.ErrCorrupt.
func DecodePart(data []byte) (Part, error) {
	writes, rest, err := DecodeWrites(data)
	if err != nil {
		return Part{}, err
	}
	p := Part{Writes: writes, Subs: make([]uint32, len(writes))}
	next := uint64(0)
	for i := range writes {
		gap, size := binary.Uvarint(rest)
		if size <= 0 || gap > math.MaxUint32 || next+gap > math.MaxUint32 {
			return Part{}, fmt.Errorf("%w: write %d has no place", kv.ErrCorrupt, i)
		}
		p.Subs[i] = uint32(next + gap)
		next += gap + 1
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return Part{}, fmt.Errorf("%w: %d bytes follow a part", kv.ErrCorrupt, len(rest))
	}
	return p, nil
}
