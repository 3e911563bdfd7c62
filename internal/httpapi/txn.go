package httpapi

import (
	"net/http"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// txnBytesPerByte is how much longer than what it says a JSON transaction may
// be: base64 makes 4 bytes of 3, escapes 6 of 1, and there are names.
const txnBytesPerByte = 4

// txn is POST /v1/txn.
func (a *api) txn(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r); q.err != nil {
		return q.err
	}
	body, err := readBody(w, r, txnBytesPerByte*a.limits.RequestBytesMax)
	if err != nil {
		return err
	}
	var j kvjson.Txn
	if err := kvjson.Decode(body, &j); err != nil {
		return err
	}
	req, err := j.Decode()
	if err != nil {
		return err
	}
	boundReads(&req)
	resp, err := a.store.Txn(r.Context(), req)
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	result := kvjson.AppendTxnResult(nil, &req, &resp)
	answer(w, r, http.StatusOK, kvjson.JSONType, append(result, '\n'))
	return nil
}

// boundReads makes no read inside req return more than a page.
func boundReads(req *kv.TxnRequest) {
	for _, branch := range [...][]kv.Op{req.Success, req.Failure} {
		for _, op := range branch {
			if get := op.Range; get != nil && (get.BytesMax == 0 || get.BytesMax > pageBytesMax) {
				get.BytesMax = pageBytesMax
			}
			if op.Txn != nil {
				boundReads(op.Txn)
			}
		}
	}
}
