package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
)

// The payload of a log entry is a kind byte and its body:
//
//	1  effects   repeated: seq uvarint, revision uvarint, writes (mvcc.AppendWrites)
//	2  mark      revision uvarint: the oracle's mark, in the system shard
//	3  prepare   a transaction over several shards holds keys (record.go)
//	4  decide    what becomes of it, in its primary shard
//	5  resolve   the same in another shard
//	6  forget    outcomes that nobody will ask for any more
//	7  floor     revision uvarint: the compaction floor
//	8  leases    batch uvarint, repeated: lease uvarint, length uvarint, record
//	             (keyspace.LeaseRecord; none of a lease that is gone)
//	9  marks     repeated: lease uvarint, 0 active, 1 closing or 2 forgotten,
//	             life uvarint
//	10 alarm     seq uvarint, 1 to raise or 0 to clear, node uvarint, kind byte
//
// seq is the proposer's own and tells it, together with the entry's term,
// which request the effect answers. Kinds are forever; an unknown one stops the
// replica, because skipping an entry would let replicas diverge.
const (
	kindEffects = 1
	kindMark    = 2
	kindPrepare = 3
	kindDecide  = 4
	kindResolve = 5
	kindForget  = 6
	kindFloor   = 7
	kindLeases  = 8

	kindLeaseMarks = 9
	kindAlarm      = 10
)

// effect is one transaction's writes, as the log holds it.
type effect struct {
	seq    uint64
	rev    kv.Revision
	writes []mvcc.Write
}

func appendEffect(buf []byte, e effect) []byte {
	buf = binary.AppendUvarint(buf, e.seq)
	buf = binary.AppendUvarint(buf, uint64(e.rev))
	return mvcc.AppendWrites(buf, e.writes)
}

// decodeEffect reads one effect; what it returns aliases data.
func decodeEffect(data []byte) (e effect, rest []byte, err error) {
	seq, n := binary.Uvarint(data)
	if n <= 0 {
		return e, nil, fmt.Errorf("%w: log entry: sequence number", kv.ErrCorrupt)
	}
	data = data[n:]
	rev, n := binary.Uvarint(data)
	if n <= 0 || rev > uint64(kv.RevisionMax) {
		return e, nil, fmt.Errorf("%w: log entry: revision", kv.ErrCorrupt)
	}
	writes, rest, err := mvcc.DecodeWrites(data[n:])
	if err != nil {
		return e, nil, fmt.Errorf("log entry: %w", err)
	}
	return effect{seq: seq, rev: kv.Revision(rev), writes: writes}, rest, nil
}

func appendMark(buf []byte, mark kv.Revision) []byte {
	return binary.AppendUvarint(append(buf, kindMark), uint64(mark))
}

func decodeMark(body []byte) (kv.Revision, error) {
	mark, n := binary.Uvarint(body)
	if n != len(body) || n <= 0 || mark > uint64(kv.RevisionMax) {
		return 0, fmt.Errorf("%w: log entry: oracle mark", kv.ErrCorrupt)
	}
	return kv.Revision(mark), nil
}
