package replica

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// The records of transactions over several shards, in the log and, those of
// prepare and decide, in the engine until they are of no use any more. Numbers
// are uvarints, byte strings begin with their length.
//
//	prepare  txn primary lower, count of locks, of each: write:0|1 start has-end:0|1 [end]
//	decide   txn commit:0|1 revision effect, count of others, of each: shard token effect
//	resolve  txn token commit:0|1 revision effect
//	forget   count of txns, txns
//
// A txn is a node and a number.

// prepareRecord says that a transaction holds keys.
type prepareRecord struct {
	txn     wire.TxnID
	primary kv.ShardID
	// lower is below the revision that the transaction may get.
	lower kv.Revision
	locks []wire.Lock
}

// decideRecord says what becomes of a transaction, in its primary shard.
type decideRecord struct {
	txn      wire.TxnID
	commit   bool
	revision kv.Revision
	effect   []byte
	others   []wire.Part
}

// resolveRecord says the same in another shard.
type resolveRecord struct {
	txn      wire.TxnID
	token    uint64
	commit   bool
	revision kv.Revision
	effect   []byte
}

func appendTxn(buf []byte, id wire.TxnID) []byte {
	buf = binary.AppendUvarint(buf, uint64(id.Node))
	return binary.AppendUvarint(buf, id.Seq)
}

func appendFlag(buf []byte, set bool) []byte {
	if set {
		return append(buf, 1)
	}
	return append(buf, 0)
}

func appendString(buf, s []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(s)))
	return append(buf, s...)
}

func appendPrepare(buf []byte, p *prepareRecord) []byte {
	buf = appendTxn(buf, p.txn)
	buf = binary.AppendUvarint(buf, uint64(p.primary))
	buf = binary.AppendUvarint(buf, uint64(p.lower))
	buf = binary.AppendUvarint(buf, uint64(len(p.locks)))
	for _, l := range p.locks {
		buf = appendFlag(buf, l.Write)
		buf = appendString(buf, l.Start)
		buf = appendFlag(buf, l.End != nil)
		if l.End != nil {
			buf = appendString(buf, l.End)
		}
	}
	return buf
}

func appendDecide(buf []byte, d *decideRecord) []byte {
	buf = appendTxn(buf, d.txn)
	buf = appendFlag(buf, d.commit)
	buf = binary.AppendUvarint(buf, uint64(d.revision))
	buf = appendString(buf, d.effect)
	buf = binary.AppendUvarint(buf, uint64(len(d.others)))
	for _, p := range d.others {
		buf = binary.AppendUvarint(buf, uint64(p.Shard))
		buf = binary.AppendUvarint(buf, p.Token)
		buf = appendString(buf, p.Effect)
	}
	return buf
}

func appendResolve(buf []byte, s *resolveRecord) []byte {
	buf = appendTxn(buf, s.txn)
	buf = binary.AppendUvarint(buf, s.token)
	buf = appendFlag(buf, s.commit)
	buf = binary.AppendUvarint(buf, uint64(s.revision))
	return appendString(buf, s.effect)
}

func appendForget(buf []byte, list []wire.TxnID) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(list)))
	for _, id := range list {
		buf = appendTxn(buf, id)
	}
	return buf
}

func decodePrepare(data []byte) (*prepareRecord, error) {
	in := recordReader{rest: data}
	p := &prepareRecord{txn: in.txn(), primary: in.shard(), lower: in.revision()}
	p.locks = make([]wire.Lock, in.count(3))
	for i := range p.locks {
		l := &p.locks[i]
		l.Write = in.flag()
		l.Start = in.string()
		if in.flag() {
			l.End = in.string()
		}
	}
	return p, in.end("prepare")
}

func decodeDecide(data []byte) (*decideRecord, error) {
	in := recordReader{rest: data}
	d := &decideRecord{
		txn: in.txn(), commit: in.flag(), revision: in.revision(), effect: in.string(),
	}
	d.others = make([]wire.Part, in.count(3))
	for i := range d.others {
		d.others[i] = wire.Part{Shard: in.shard(), Token: in.number(), Effect: in.string()}
	}
	return d, in.end("decide")
}

func decodeResolve(data []byte) (*resolveRecord, error) {
	in := recordReader{rest: data}
	s := &resolveRecord{
		txn: in.txn(), token: in.number(), commit: in.flag(), revision: in.revision(),
		effect: in.string(),
	}
	return s, in.end("resolve")
}

func decodeForget(data []byte) ([]wire.TxnID, error) {
	in := recordReader{rest: data}
	list := make([]wire.TxnID, in.count(2))
	for i := range list {
		list[i] = in.txn()
	}
	return list, in.end("forget")
}

// recordReader takes a record apart. Once something is bad, all that follows is.
type recordReader struct {
	rest []byte
	bad  bool
}

func (r *recordReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *recordReader) txn() wire.TxnID {
	return wire.TxnID{Node: kv.NodeID(r.number()), Seq: r.number()}
}

func (r *recordReader) shard() kv.ShardID {
	n := r.number()
	r.bad = r.bad || n > math.MaxUint32
	return kv.ShardID(n)
}

func (r *recordReader) revision() kv.Revision {
	n := r.number()
	r.bad = r.bad || n > uint64(kv.RevisionMax)
	return kv.Revision(n)
}

func (r *recordReader) flag() bool {
	n := r.number()
	r.bad = r.bad || n > 1
	return n == 1
}

// string is a byte string; it aliases the record.
func (r *recordReader) string() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	s := r.rest[:n:n]
	r.rest = r.rest[n:]
	return s
}

// count is the length of a list whose items take sizeMin bytes at least.
func (r *recordReader) count(sizeMin int) int {
	n := r.number()
	if n > uint64(len(r.rest)/sizeMin) {
		r.bad, r.rest = true, nil
		return 0
	}
	return int(n)
}

func (r *recordReader) end(what string) error {
	if r.bad || len(r.rest) > 0 {
		return fmt.Errorf("%w: a bad record of kind %s", kv.ErrCorrupt, what)
	}
	return nil
}
