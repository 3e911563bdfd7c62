package wire

import "github.com/miruvor/miruvor/internal/kv"

const (
	txnCompares = 1<<2 | kindList
	txnSuccess  = 2<<2 | kindList
	txnFailure  = 3<<2 | kindList

	opRange  = 1<<2 | kindStruct
	opPut    = 2<<2 | kindStruct
	opDelete = 3<<2 | kindStruct
	opTxn    = 4<<2 | kindStruct

	// What the shortest elements take: an operation has one struct inside, a
	// comparison always writes its target.
	opSizeMin      = 3
	compareSizeMin = 3
)

const (
	rangeStart        = 1<<2 | kindBytes
	rangeEnd          = 2<<2 | kindBytes
	rangeLimit        = 3<<2 | kindUint
	rangeBytesMax     = 4<<2 | kindUint
	rangeRevision     = 5<<2 | kindUint
	rangeSerializable = 6<<2 | kindUint
	rangeKeysOnly     = 7<<2 | kindUint
	rangeCountOnly    = 8<<2 | kindUint
	rangeWantCount    = 9<<2 | kindUint
	rangeReverse      = 10<<2 | kindUint
)

const (
	putKey         = 1<<2 | kindBytes
	putValue       = 2<<2 | kindBytes
	putLease       = 3<<2 | kindUint
	putPrevKV      = 4<<2 | kindUint
	putIgnoreValue = 5<<2 | kindUint
	putIgnoreLease = 6<<2 | kindUint

	deleteStart  = 1<<2 | kindBytes
	deleteEnd    = 2<<2 | kindBytes
	deletePrevKV = 3<<2 | kindUint

	compareKey      = 1<<2 | kindBytes
	compareRangeEnd = 2<<2 | kindBytes
	compareTarget   = 3<<2 | kindUint
	compareRelation = 4<<2 | kindUint
	compareNumber   = 5<<2 | kindUint
	compareValue    = 6<<2 | kindBytes
)

func appendTxn(buf []byte, t *kv.TxnRequest) []byte {
	if len(t.Compares) > 0 {
		buf = appendCount(buf, txnCompares, len(t.Compares))
		for i := range t.Compares {
			buf = appendCompare(buf, &t.Compares[i])
		}
	}
	buf = appendOps(buf, txnSuccess, t.Success)
	buf = appendOps(buf, txnFailure, t.Failure)
	return appendEnd(buf)
}

func (r *reader) txn() *kv.TxnRequest {
	r.depth++
	r.require(r.depth <= kv.TxnDepthMax)
	out := new(kv.TxnRequest)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case txnCompares:
			out.Compares = make([]kv.Compare, r.count(compareSizeMin))
			for i := range out.Compares {
				r.compare(&out.Compares[i])
			}
		case txnSuccess:
			out.Success = r.ops()
		case txnFailure:
			out.Failure = r.ops()
		default:
			r.skip(tag)
		}
	}
	r.depth--
	return out
}

func appendCompare(buf []byte, c *kv.Compare) []byte {
	buf = appendBytes(buf, compareKey, c.Key)
	buf = appendBytes(buf, compareRangeEnd, c.RangeEnd)
	buf = append(buf, compareTarget, byte(c.Target))
	buf = appendUint(buf, compareRelation, uint64(c.Relation))
	buf = appendUint(buf, compareNumber, uint64(c.Number))
	buf = appendBytes(buf, compareValue, c.Value)
	return appendEnd(buf)
}

func (r *reader) compare(out *kv.Compare) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case compareKey:
			out.Key = r.bytes()
		case compareRangeEnd:
			out.RangeEnd = r.bytes()
		case compareTarget:
			out.Target = kv.Target(r.uintMax(uint64(kv.CompareLease)))
		case compareRelation:
			out.Relation = kv.Relation(r.uintMax(uint64(kv.NotEqual)))
		case compareNumber:
			out.Number = int64(r.uint())
		case compareValue:
			out.Value = r.bytes()
		default:
			r.skip(tag)
		}
	}
}

func appendOps(buf []byte, tag byte, ops []kv.Op) []byte {
	if len(ops) == 0 {
		return buf
	}
	buf = appendCount(buf, tag, len(ops))
	for i := range ops {
		buf = appendOp(buf, &ops[i])
	}
	return buf
}

func (r *reader) ops() []kv.Op {
	out := make([]kv.Op, r.count(opSizeMin))
	for i := range out {
		r.op(&out[i])
	}
	return out
}

func appendOp(buf []byte, op *kv.Op) []byte {
	switch {
	case op.Range != nil:
		buf = appendRange(append(buf, opRange), op.Range)
	case op.Put != nil:
		buf = appendPut(append(buf, opPut), op.Put)
	case op.Delete != nil:
		buf = appendDelete(append(buf, opDelete), op.Delete)
	case op.Txn != nil:
		buf = appendTxn(append(buf, opTxn), op.Txn)
	}
	return appendEnd(buf)
}

func (r *reader) op(out *kv.Op) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case opRange:
			out.Range = new(kv.RangeRequest)
			r.rangeRequest(out.Range)
		case opPut:
			out.Put = r.put()
		case opDelete:
			out.Delete = r.delete()
		case opTxn:
			out.Txn = r.txn()
		default:
			r.skip(tag)
		}
	}
	r.require(exactlyOne(out.Range != nil, out.Put != nil, out.Delete != nil, out.Txn != nil))
}

func appendRange(buf []byte, q *kv.RangeRequest) []byte {
	buf = appendBytes(buf, rangeStart, q.Start)
	buf = appendBytes(buf, rangeEnd, q.End)
	buf = appendUint(buf, rangeLimit, uint64(q.Limit))
	buf = appendUint(buf, rangeBytesMax, uint64(q.BytesMax))
	buf = appendUint(buf, rangeRevision, uint64(q.Revision))
	buf = appendBool(buf, rangeSerializable, q.Serializable)
	buf = appendBool(buf, rangeKeysOnly, q.KeysOnly)
	buf = appendBool(buf, rangeCountOnly, q.CountOnly)
	buf = appendBool(buf, rangeWantCount, q.WantCount)
	buf = appendBool(buf, rangeReverse, q.Reverse)
	return appendEnd(buf)
}

func (r *reader) rangeRequest(out *kv.RangeRequest) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case rangeStart:
			out.Start = r.bytes()
		case rangeEnd:
			out.End = r.bytes()
		case rangeLimit:
			out.Limit = int(r.uint())
		case rangeBytesMax:
			out.BytesMax = int(r.uint())
		case rangeRevision:
			out.Revision = kv.Revision(r.uint())
		case rangeSerializable:
			out.Serializable = r.bool()
		case rangeKeysOnly:
			out.KeysOnly = r.bool()
		case rangeCountOnly:
			out.CountOnly = r.bool()
		case rangeWantCount:
			out.WantCount = r.bool()
		case rangeReverse:
			out.Reverse = r.bool()
		default:
			r.skip(tag)
		}
	}
}

func appendPut(buf []byte, q *kv.PutRequest) []byte {
	buf = appendBytes(buf, putKey, q.Key)
	buf = appendBytes(buf, putValue, q.Value)
	buf = appendUint(buf, putLease, uint64(q.Lease))
	buf = appendBool(buf, putPrevKV, q.PrevKV)
	buf = appendBool(buf, putIgnoreValue, q.IgnoreValue)
	buf = appendBool(buf, putIgnoreLease, q.IgnoreLease)
	return appendEnd(buf)
}

func (r *reader) put() *kv.PutRequest {
	out := new(kv.PutRequest)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case putKey:
			out.Key = r.bytes()
		case putValue:
			out.Value = r.bytes()
		case putLease:
			out.Lease = kv.LeaseID(r.uint())
		case putPrevKV:
			out.PrevKV = r.bool()
		case putIgnoreValue:
			out.IgnoreValue = r.bool()
		case putIgnoreLease:
			out.IgnoreLease = r.bool()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendDelete(buf []byte, q *kv.DeleteRequest) []byte {
	buf = appendBytes(buf, deleteStart, q.Start)
	buf = appendBytes(buf, deleteEnd, q.End)
	buf = appendBool(buf, deletePrevKV, q.PrevKV)
	return appendEnd(buf)
}

func (r *reader) delete() *kv.DeleteRequest {
	out := new(kv.DeleteRequest)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case deleteStart:
			out.Start = r.bytes()
		case deleteEnd:
			out.End = r.bytes()
		case deletePrevKV:
			out.PrevKV = r.bool()
		default:
			r.skip(tag)
		}
	}
	return out
}
