package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	requestID     = 1<<2 | kindUint
	requestShard  = 2<<2 | kindUint
	requestTxn    = 3<<2 | kindStruct
	requestRange  = 4<<2 | kindStruct
	requestOracle = 5<<2 | kindStruct
	requestMap    = 6<<2 | kindStruct

	rangeAtRequest = 1<<2 | kindStruct
	rangeAtAt      = 2<<2 | kindUint

	oracleRequestCount = 1<<2 | kindUint
)

func appendRequest(buf []byte, q *Request) []byte {
	buf = appendUint(buf, requestID, q.ID)
	buf = appendUint(buf, requestShard, uint64(q.Shard))
	if q.Txn != nil {
		buf = appendTxn(append(buf, requestTxn), q.Txn)
	}
	if q.Range != nil {
		buf = appendRangeAt(append(buf, requestRange), q.Range)
	}
	if q.Oracle != nil {
		buf = appendUint(append(buf, requestOracle), oracleRequestCount, uint64(q.Oracle.Count))
		buf = appendEnd(buf)
	}
	if q.Map != nil {
		buf = appendEnd(append(buf, requestMap))
	}
	return appendEnd(buf)
}

// request reads a Request. One that asks for something unknown comes out
// with nothing set, so that it can be answered by its ID.
func (r *reader) request(out *Request) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case requestID:
			out.ID = r.uint()
		case requestShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		case requestTxn:
			out.Txn = r.txn()
		case requestRange:
			out.Range = r.rangeAt()
		case requestOracle:
			out.Oracle = r.oracleRequest()
		case requestMap:
			out.Map = r.mapRequest()
		default:
			r.skip(tag)
		}
	}
	r.require(atMostOne(out.Txn != nil, out.Range != nil, out.Oracle != nil, out.Map != nil))
}

func appendRangeAt(buf []byte, q *RangeAt) []byte {
	buf = appendRange(append(buf, rangeAtRequest), &q.RangeRequest)
	buf = appendUint(buf, rangeAtAt, uint64(q.At))
	return appendEnd(buf)
}

func (r *reader) rangeAt() *RangeAt {
	out := new(RangeAt)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case rangeAtRequest:
			r.rangeRequest(&out.RangeRequest)
		case rangeAtAt:
			out.At = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

func (r *reader) mapRequest() *MapRequest {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		r.skip(tag)
	}
	return new(MapRequest)
}

func (r *reader) oracleRequest() *OracleRequest {
	out := new(OracleRequest)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case oracleRequestCount:
			out.Count = uint32(r.uintMax(math.MaxUint32))
		default:
			r.skip(tag)
		}
	}
	return out
}
