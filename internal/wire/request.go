package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	requestID      = 1<<2 | kindUint
	requestShard   = 2<<2 | kindUint
	requestTxn     = 3<<2 | kindStruct
	requestRange   = 4<<2 | kindStruct
	requestOracle  = 5<<2 | kindStruct
	requestMap     = 6<<2 | kindStruct
	requestGather  = 7<<2 | kindStruct
	requestPrepare = 8<<2 | kindStruct
	requestDecide  = 9<<2 | kindStruct
	requestResolve = 10<<2 | kindStruct
	requestSettle  = 11<<2 | kindStruct
	requestFeed    = 12<<2 | kindStruct
	requestClose   = 13<<2 | kindStruct
	requestLease   = 14<<2 | kindStruct
	requestCompact = 15<<2 | kindStruct
	requestAlarm   = 16<<2 | kindStruct

	rangeAtRequest = 1<<2 | kindStruct
	rangeAtAt      = 2<<2 | kindUint

	oracleRequestCount = 1<<2 | kindUint
)

func appendRequest(buf []byte, q *Request) []byte {
	buf = appendUint(buf, requestID, q.ID)
	buf = appendUint(buf, requestShard, uint64(q.Shard))
	switch {
	case q.Txn != nil:
		buf = appendTxn(append(buf, requestTxn), q.Txn)
	case q.Range != nil:
		buf = appendRangeAt(append(buf, requestRange), q.Range)
	case q.Oracle != nil:
		buf = appendUint(append(buf, requestOracle), oracleRequestCount, uint64(q.Oracle.Count))
		buf = appendEnd(buf)
	case q.Map != nil:
		buf = appendEnd(append(buf, requestMap))
	case q.Gather != nil:
		buf = appendGather(append(buf, requestGather), q.Gather)
	case q.Prepare != nil:
		buf = appendPrepare(append(buf, requestPrepare), q.Prepare)
	case q.Decide != nil:
		buf = appendDecide(append(buf, requestDecide), q.Decide)
	case q.Resolve != nil:
		buf = appendResolve(append(buf, requestResolve), q.Resolve)
	case q.Settle != nil:
		buf = appendSettle(append(buf, requestSettle), q.Settle)
	case q.Feed != nil:
		buf = appendFeed(append(buf, requestFeed), q.Feed)
	case q.Close != nil:
		buf = appendClose(append(buf, requestClose), q.Close)
	case q.Lease != nil:
		buf = appendLease(append(buf, requestLease), q.Lease)
	case q.Compact != nil:
		buf = appendCompact(append(buf, requestCompact), q.Compact)
	case q.Alarm != nil:
		buf = appendAlarmRequest(append(buf, requestAlarm), q.Alarm)
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
			r.requestBetweenNodes(tag, out)
		}
	}
	r.require(atMostOne(out.Txn != nil, out.Range != nil, out.Oracle != nil, out.Map != nil,
		out.Gather != nil, out.Prepare != nil, out.Decide != nil, out.Resolve != nil,
		out.Settle != nil, out.Feed != nil, out.Close != nil, out.Lease != nil,
		out.Compact != nil, out.Alarm != nil))
}

// requestBetweenNodes reads the field of a Request that tag begins, if it is
// one of exchange.go.
func (r *reader) requestBetweenNodes(tag byte, out *Request) {
	switch tag {
	case requestGather:
		out.Gather = new(Gather)
		r.gather(out.Gather)
	case requestPrepare:
		out.Prepare = r.prepare()
	case requestDecide:
		out.Decide = r.decide()
	case requestResolve:
		out.Resolve = r.resolve()
	case requestSettle:
		out.Settle = r.settle()
	case requestFeed:
		out.Feed = r.feed()
	case requestClose:
		out.Close = r.close()
	case requestLease:
		out.Lease = r.lease()
	case requestCompact:
		out.Compact = r.compact()
	case requestAlarm:
		out.Alarm = r.alarmRequest()
	default:
		r.skip(tag)
	}
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
