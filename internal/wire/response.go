package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	responseID        = 1<<2 | kindUint
	responseCode      = 2<<2 | kindUint
	responseText      = 3<<2 | kindBytes
	responseLeader    = 4<<2 | kindUint
	responseTxn       = 5<<2 | kindStruct
	responseRange     = 6<<2 | kindStruct
	responseOracle    = 7<<2 | kindStruct
	responseMap       = 8<<2 | kindStruct
	responseGathered  = 9<<2 | kindStruct
	responsePrepared  = 10<<2 | kindStruct
	responseOutcome   = 11<<2 | kindStruct
	responseFed       = 12<<2 | kindStruct
	responseClosed    = 13<<2 | kindStruct
	responseLease     = 14<<2 | kindStruct
	responseCompacted = 15<<2 | kindStruct
	responseAlarms    = 16<<2 | kindStruct

	oracleResponseBase  = 1<<2 | kindUint
	oracleResponseCount = 2<<2 | kindUint
	oracleResponseFloor = 3<<2 | kindUint

	mapResponseData = 1<<2 | kindBytes
)

func appendResponse(buf []byte, p *Response) []byte {
	buf = appendUint(buf, responseID, p.ID)
	buf = appendUint(buf, responseCode, uint64(p.Code))
	buf = appendString(buf, responseText, p.Text)
	buf = appendUint(buf, responseLeader, uint64(p.Leader))
	switch {
	case p.Txn != nil:
		buf = appendTxnResponse(append(buf, responseTxn), p.Txn)
	case p.Range != nil:
		buf = appendRangeResponse(append(buf, responseRange), p.Range)
	case p.Oracle != nil:
		buf = appendOracleResponse(append(buf, responseOracle), p.Oracle)
	case p.Map != nil:
		buf = appendEnd(appendBytes(append(buf, responseMap), mapResponseData, p.Map.Data))
	case p.Gathered != nil:
		buf = appendGathered(append(buf, responseGathered), p.Gathered)
	case p.Prepared != nil:
		buf = appendPrepared(append(buf, responsePrepared), p.Prepared)
	case p.Outcome != nil:
		buf = appendOutcome(append(buf, responseOutcome), p.Outcome)
	case p.Fed != nil:
		buf = appendFed(append(buf, responseFed), p.Fed)
	case p.Closed != nil:
		buf = appendClosed(append(buf, responseClosed), p.Closed)
	case p.Lease != nil:
		buf = appendLeaseResponse(append(buf, responseLease), p.Lease)
	case p.Compacted != nil:
		buf = appendCompacted(append(buf, responseCompacted), p.Compacted)
	case p.Alarms != nil:
		buf = appendAlarms(append(buf, responseAlarms), p.Alarms)
	}
	return appendEnd(buf)
}

func (r *reader) response(out *Response) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case responseID:
			out.ID = r.uint()
		case responseCode:
			out.Code = Code(r.uintMax(math.MaxUint8))
		case responseText:
			out.Text = r.string()
		case responseLeader:
			out.Leader = kv.NodeID(r.uint())
		case responseTxn:
			out.Txn = r.txnResponse()
		case responseRange:
			out.Range = new(kv.RangeResponse)
			r.rangeResponse(out.Range)
		case responseOracle:
			out.Oracle = r.oracleResponse()
		case responseMap:
			out.Map = r.mapResponse()
		default:
			r.responseBetweenNodes(tag, out)
		}
	}
	r.require(atMostOne(out.Txn != nil, out.Range != nil, out.Oracle != nil, out.Map != nil,
		out.Gathered != nil, out.Prepared != nil, out.Outcome != nil, out.Fed != nil,
		out.Closed != nil, out.Lease != nil, out.Compacted != nil,
		out.Alarms != nil))
}

// responseBetweenNodes reads the field of a Response that tag begins, if it
// is one of exchange.go.
func (r *reader) responseBetweenNodes(tag byte, out *Response) {
	switch tag {
	case responseGathered:
		out.Gathered = new(Gathered)
		r.gathered(out.Gathered)
	case responsePrepared:
		out.Prepared = r.prepared()
	case responseOutcome:
		out.Outcome = r.outcome()
	case responseFed:
		out.Fed = r.fed()
	case responseClosed:
		out.Closed = r.closed()
	case responseLease:
		out.Lease = r.leaseResponse()
	case responseCompacted:
		out.Compacted = r.compacted()
	case responseAlarms:
		out.Alarms = r.alarms()
	default:
		r.skip(tag)
	}
}

func (r *reader) mapResponse() *MapResponse {
	out := new(MapResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case mapResponseData:
			out.Data = r.bytes()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendOracleResponse(buf []byte, p *OracleResponse) []byte {
	buf = appendUint(buf, oracleResponseBase, uint64(p.Base))
	buf = appendUint(buf, oracleResponseCount, uint64(p.Count))
	buf = appendUint(buf, oracleResponseFloor, uint64(p.Compacted))
	return appendEnd(buf)
}

func (r *reader) oracleResponse() *OracleResponse {
	out := new(OracleResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case oracleResponseBase:
			out.Base = kv.Revision(r.uint())
		case oracleResponseCount:
			out.Count = uint32(r.uintMax(math.MaxUint32))
		case oracleResponseFloor:
			out.Compacted = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}
