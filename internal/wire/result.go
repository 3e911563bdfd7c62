package wire

import "github.com/miruvor/miruvor/internal/kv"

const (
	txnResponseRevision  = 1<<2 | kindUint
	txnResponseSucceeded = 2<<2 | kindUint
	txnResponseResults   = 3<<2 | kindList

	resultRange  = 1<<2 | kindStruct
	resultPut    = 2<<2 | kindStruct
	resultDelete = 3<<2 | kindStruct
	resultTxn    = 4<<2 | kindStruct

	rangeResponseRevision = 1<<2 | kindUint
	rangeResponseKVs      = 2<<2 | kindList
	rangeResponseMore     = 3<<2 | kindUint
	rangeResponseCount    = 4<<2 | kindUint

	putResponsePrev    = 1<<2 | kindStruct
	putResponseVersion = 2<<2 | kindUint

	deleteResponseDeleted = 1<<2 | kindUint
	deleteResponsePrev    = 2<<2 | kindList
)

const (
	kvKey     = 1<<2 | kindBytes
	kvValue   = 2<<2 | kindBytes
	kvCreate  = 3<<2 | kindUint
	kvMod     = 4<<2 | kindUint
	kvVersion = 5<<2 | kindUint
	kvLease   = 6<<2 | kindUint

	// What the shortest elements take: a result has one struct inside, a
	// key-value always writes its modification revision.
	resultSizeMin   = 3
	keyValueSizeMin = 3
)

func appendTxnResponse(buf []byte, t *kv.TxnResponse) []byte {
	buf = appendUint(buf, txnResponseRevision, uint64(t.Revision))
	buf = appendBool(buf, txnResponseSucceeded, t.Succeeded)
	if len(t.Results) > 0 {
		buf = appendCount(buf, txnResponseResults, len(t.Results))
		for i := range t.Results {
			buf = appendResult(buf, &t.Results[i])
		}
	}
	return appendEnd(buf)
}

func (r *reader) txnResponse() *kv.TxnResponse {
	r.depth++
	r.require(r.depth <= kv.TxnDepthMax)
	out := new(kv.TxnResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case txnResponseRevision:
			out.Revision = kv.Revision(r.uint())
		case txnResponseSucceeded:
			out.Succeeded = r.bool()
		case txnResponseResults:
			out.Results = make([]kv.Result, r.count(resultSizeMin))
			for i := range out.Results {
				r.result(&out.Results[i])
			}
		default:
			r.skip(tag)
		}
	}
	r.depth--
	return out
}

func appendResult(buf []byte, t *kv.Result) []byte {
	switch {
	case t.Range != nil:
		buf = appendRangeResponse(append(buf, resultRange), t.Range)
	case t.Put != nil:
		buf = appendPutResponse(append(buf, resultPut), t.Put)
	case t.Delete != nil:
		buf = appendUint(append(buf, resultDelete), deleteResponseDeleted, uint64(t.Delete.Deleted))
		buf = appendEnd(appendElements(buf, deleteResponsePrev, t.Delete.Prev, appendKeyValue))
	case t.Txn != nil:
		buf = appendTxnResponse(append(buf, resultTxn), t.Txn)
	}
	return appendEnd(buf)
}

func (r *reader) result(out *kv.Result) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case resultRange:
			out.Range = new(kv.RangeResponse)
			r.rangeResponse(out.Range)
		case resultPut:
			out.Put = r.putResponse()
		case resultDelete:
			out.Delete = r.deleteResponse()
		case resultTxn:
			out.Txn = r.txnResponse()
		default:
			r.skip(tag)
		}
	}
	r.require(exactlyOne(out.Range != nil, out.Put != nil, out.Delete != nil, out.Txn != nil))
}

func appendPutResponse(buf []byte, p *kv.PutResponse) []byte {
	if p.Prev != nil {
		buf = appendKeyValue(append(buf, putResponsePrev), p.Prev)
	}
	buf = appendUint(buf, putResponseVersion, uint64(p.Version))
	return appendEnd(buf)
}

func (r *reader) putResponse() *kv.PutResponse {
	out := new(kv.PutResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case putResponsePrev:
			out.Prev = new(kv.KeyValue)
			r.keyValue(out.Prev)
		case putResponseVersion:
			out.Version = int64(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

func (r *reader) deleteResponse() *kv.DeleteResponse {
	out := new(kv.DeleteResponse)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case deleteResponseDeleted:
			out.Deleted = int64(r.uint())
		case deleteResponsePrev:
			out.Prev = r.keyValues()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendRangeResponse(buf []byte, p *kv.RangeResponse) []byte {
	buf = appendUint(buf, rangeResponseRevision, uint64(p.Revision))
	buf = appendElements(buf, rangeResponseKVs, p.KVs, appendKeyValue)
	buf = appendBool(buf, rangeResponseMore, p.More)
	buf = appendUint(buf, rangeResponseCount, uint64(p.Count))
	return appendEnd(buf)
}

func (r *reader) rangeResponse(out *kv.RangeResponse) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case rangeResponseRevision:
			out.Revision = kv.Revision(r.uint())
		case rangeResponseKVs:
			out.KVs = r.keyValues()
		case rangeResponseMore:
			out.More = r.bool()
		case rangeResponseCount:
			out.Count = int64(r.uint())
		default:
			r.skip(tag)
		}
	}
}

func (r *reader) keyValues() []kv.KeyValue {
	return elements(r, keyValueSizeMin, (*reader).keyValue)
}

func appendKeyValue(buf []byte, p *kv.KeyValue) []byte {
	mod := uint64(p.ModRevision)
	buf = appendBytes(buf, kvKey, p.Key)
	buf = appendBytes(buf, kvValue, p.Value)
	buf = appendUint(buf, kvCreate, uint64(p.CreateRevision))
	buf = appendPresent(buf, kvMod, &mod)
	buf = appendUint(buf, kvVersion, uint64(p.Version))
	buf = appendUint(buf, kvLease, uint64(p.Lease))
	return appendEnd(buf)
}

func (r *reader) keyValue(out *kv.KeyValue) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case kvKey:
			out.Key = r.bytes()
		case kvValue:
			out.Value = r.bytes()
		case kvCreate:
			out.CreateRevision = kv.Revision(r.uint())
		case kvMod:
			out.ModRevision = kv.Revision(r.uint())
		case kvVersion:
			out.Version = int64(r.uint())
		case kvLease:
			out.Lease = kv.LeaseID(r.uint())
		default:
			r.skip(tag)
		}
	}
}
