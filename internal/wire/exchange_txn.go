package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	txnIDNode = 1<<2 | kindUint
	txnIDSeq  = 2<<2 | kindUint

	lockStart = 1<<2 | kindBytes
	lockEnd   = 2<<2 | kindBytes
	lockWrite = 3<<2 | kindUint

	partShard  = 1<<2 | kindUint
	partToken  = 2<<2 | kindUint
	partEffect = 3<<2 | kindBytes

	// What the shortest elements take: a lock always writes what it is for, a
	// part its shard.
	lockSizeMin = 3
	partSizeMin = 3
)

const (
	prepareTxn     = 1<<2 | kindStruct
	preparePrimary = 2<<2 | kindUint
	prepareLocks   = 3<<2 | kindList
	prepareGather  = 4<<2 | kindStruct
	prepareLeases  = 5<<2 | kindBytes
	prepareWait    = 6<<2 | kindUint

	preparedToken    = 1<<2 | kindUint
	preparedGathered = 2<<2 | kindStruct
	preparedMissing  = 3<<2 | kindBytes
)

const (
	decideTxn      = 1<<2 | kindStruct
	decideToken    = 2<<2 | kindUint
	decideRevision = 3<<2 | kindUint
	decideEffect   = 4<<2 | kindBytes
	decideOthers   = 5<<2 | kindList

	resolveTxn      = 1<<2 | kindStruct
	resolveToken    = 2<<2 | kindUint
	resolveCommit   = 3<<2 | kindUint
	resolveRevision = 4<<2 | kindUint
	resolveEffect   = 5<<2 | kindBytes

	settleTxn   = 1<<2 | kindStruct
	settleShard = 2<<2 | kindUint

	outcomeState    = 1<<2 | kindUint
	outcomeRevision = 2<<2 | kindUint
	outcomePart     = 3<<2 | kindStruct
)

func appendTxnID(buf []byte, tag byte, id TxnID) []byte {
	buf = appendUint(append(buf, tag), txnIDNode, uint64(id.Node))
	buf = appendUint(buf, txnIDSeq, id.Seq)
	return appendEnd(buf)
}

func (r *reader) txnID() TxnID {
	var out TxnID
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case txnIDNode:
			out.Node = kv.NodeID(r.uint())
		case txnIDSeq:
			out.Seq = r.uint()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendLock(buf []byte, l *Lock) []byte {
	write := uint64(0)
	if l.Write {
		write = 1
	}
	buf = appendBytes(buf, lockStart, l.Start)
	buf = appendBytes(buf, lockEnd, l.End)
	buf = appendPresent(buf, lockWrite, &write)
	return appendEnd(buf)
}

func (r *reader) lock(out *Lock) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case lockStart:
			out.Start = r.bytes()
		case lockEnd:
			out.End = r.bytes()
		case lockWrite:
			out.Write = r.bool()
		default:
			r.skip(tag)
		}
	}
}

func appendPart(buf []byte, p *Part) []byte {
	shard := uint64(p.Shard)
	buf = appendPresent(buf, partShard, &shard)
	buf = appendUint(buf, partToken, p.Token)
	buf = appendBytes(buf, partEffect, p.Effect)
	return appendEnd(buf)
}

func (r *reader) part(out *Part) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case partShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		case partToken:
			out.Token = r.uint()
		case partEffect:
			out.Effect = r.bytes()
		default:
			r.skip(tag)
		}
	}
}

func appendPrepare(buf []byte, q *Prepare) []byte {
	buf = appendTxnID(buf, prepareTxn, q.Txn)
	buf = appendUint(buf, preparePrimary, uint64(q.Primary))
	buf = appendElements(buf, prepareLocks, q.Locks, appendLock)
	buf = appendGather(append(buf, prepareGather), &q.Gather)
	buf = appendNumbers(buf, prepareLeases, q.Leases)
	buf = appendBool(buf, prepareWait, q.Wait)
	return appendEnd(buf)
}

func (r *reader) prepare() *Prepare {
	out := new(Prepare)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case prepareTxn:
			out.Txn = r.txnID()
		case preparePrimary:
			out.Primary = kv.ShardID(r.uintMax(math.MaxUint32))
		case prepareLocks:
			out.Locks = elements(r, lockSizeMin, (*reader).lock)
		case prepareGather:
			r.gather(&out.Gather)
		case prepareLeases:
			out.Leases = numbers[kv.LeaseID](r, math.MaxUint64)
		case prepareWait:
			out.Wait = r.bool()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendPrepared(buf []byte, p *Prepared) []byte {
	buf = appendUint(buf, preparedToken, p.Token)
	buf = appendGathered(append(buf, preparedGathered), &p.Gathered)
	buf = appendNumbers(buf, preparedMissing, p.Missing)
	return appendEnd(buf)
}

func (r *reader) prepared() *Prepared {
	out := new(Prepared)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case preparedToken:
			out.Token = r.uint()
		case preparedGathered:
			r.gathered(&out.Gathered)
		case preparedMissing:
			out.Missing = numbers[kv.LeaseID](r, math.MaxUint64)
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendDecide(buf []byte, q *Decide) []byte {
	buf = appendTxnID(buf, decideTxn, q.Txn)
	buf = appendUint(buf, decideToken, q.Token)
	buf = appendUint(buf, decideRevision, uint64(q.Revision))
	buf = appendBytes(buf, decideEffect, q.Effect)
	buf = appendElements(buf, decideOthers, q.Others, appendPart)
	return appendEnd(buf)
}

func (r *reader) decide() *Decide {
	out := new(Decide)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case decideTxn:
			out.Txn = r.txnID()
		case decideToken:
			out.Token = r.uint()
		case decideRevision:
			out.Revision = kv.Revision(r.uint())
		case decideEffect:
			out.Effect = r.bytes()
		case decideOthers:
			out.Others = elements(r, partSizeMin, (*reader).part)
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendResolve(buf []byte, q *Resolve) []byte {
	buf = appendTxnID(buf, resolveTxn, q.Txn)
	buf = appendUint(buf, resolveToken, q.Token)
	buf = appendBool(buf, resolveCommit, q.Commit)
	buf = appendUint(buf, resolveRevision, uint64(q.Revision))
	buf = appendBytes(buf, resolveEffect, q.Effect)
	return appendEnd(buf)
}

func (r *reader) resolve() *Resolve {
	out := new(Resolve)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case resolveTxn:
			out.Txn = r.txnID()
		case resolveToken:
			out.Token = r.uint()
		case resolveCommit:
			out.Commit = r.bool()
		case resolveRevision:
			out.Revision = kv.Revision(r.uint())
		case resolveEffect:
			out.Effect = r.bytes()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendSettle(buf []byte, q *Settle) []byte {
	buf = appendTxnID(buf, settleTxn, q.Txn)
	buf = appendUint(buf, settleShard, uint64(q.Shard))
	return appendEnd(buf)
}

func (r *reader) settle() *Settle {
	out := new(Settle)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case settleTxn:
			out.Txn = r.txnID()
		case settleShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendOutcome(buf []byte, p *Outcome) []byte {
	buf = appendUint(buf, outcomeState, uint64(p.State))
	buf = appendUint(buf, outcomeRevision, uint64(p.Revision))
	if p.Part != nil {
		buf = appendPart(append(buf, outcomePart), p.Part)
	}
	return appendEnd(buf)
}

func (r *reader) outcome() *Outcome {
	out := new(Outcome)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case outcomeState:
			out.State = OutcomeState(r.uintMax(uint64(OutcomeCommitted)))
		case outcomeRevision:
			out.Revision = kv.Revision(r.uint())
		case outcomePart:
			out.Part = new(Part)
			r.part(out.Part)
		default:
			r.skip(tag)
		}
	}
	return out
}
