package transport

import (
	"encoding/binary"
	"errors"
)

// The payload of a frameSnapshotChunk is a sequence of pairs, each
//
//	key length uvarint | key | value length uvarint | value
//
// and that of the frameSnapshotEnd how much went before, two u64: the number
// of pairs, and the bytes of all keys and values.
const pairOverheadBytes = 2 * binary.MaxVarintLen32

var errChunk = errors.New("chunk of a snapshot is malformed")

// tally counts what a snapshot held, at either end of the stream.
type tally struct {
	pairs, bytes uint64
}

func (t *tally) add(p Pair) {
	t.pairs++
	t.bytes += uint64(len(p.Key) + len(p.Value))
}

func (t *tally) frame() []byte {
	buf := binary.LittleEndian.AppendUint64(beginFrame(nil), t.pairs)
	return sealFrame(binary.LittleEndian.AppendUint64(buf, t.bytes), frameSnapshotEnd)
}

func (t *tally) matches(payload []byte) bool {
	return len(payload) == 16 && binary.LittleEndian.Uint64(payload) == t.pairs &&
		binary.LittleEndian.Uint64(payload[8:]) == t.bytes
}

func appendPair(buf []byte, p Pair) []byte {
	buf = append(binary.AppendUvarint(buf, uint64(len(p.Key))), p.Key...)
	return append(binary.AppendUvarint(buf, uint64(len(p.Value))), p.Value...)
}

// cutPair reads the first pair of a chunk. The pair aliases chunk.
func cutPair(chunk []byte) (p Pair, rest []byte, err error) {
	if p.Key, rest, err = cutBytes(chunk); err == nil {
		p.Value, rest, err = cutBytes(rest)
	}
	return p, rest, err
}

func cutBytes(buf []byte) (b, rest []byte, err error) {
	size, n := binary.Uvarint(buf)
	if n <= 0 || size > uint64(len(buf)-n) {
		return nil, nil, errChunk
	}
	end := n + int(size)
	return buf[n:end:end], buf[end:], nil
}
