package kvjson

import (
	"fmt"
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// TxnResult is a kv.TxnResponse as JSON:
//
//	{"revision":8,"succeeded":true,"results":[{"put":{"version":1}},…]}
//
// A nested one has no revision.
type TxnResult struct {
	Revision  kv.Revision `json:"revision"`
	Succeeded bool        `json:"succeeded"`
	Results   []Result    `json:"results"`
}

// Result is a kv.Result: the member of its operation.
type Result struct {
	Get    *Page         `json:"get"`
	Put    *PutResult    `json:"put"`
	Delete *DeleteResult `json:"delete"`
	Txn    *TxnResult    `json:"txn"`
}

// PutResult is a kv.PutResponse.
type PutResult struct {
	Version int64     `json:"version"`
	Prev    *KeyValue `json:"prev"`
}

// DeleteResult is a kv.DeleteResponse.
type DeleteResult struct {
	Revision kv.Revision `json:"revision"`
	Deleted  int64       `json:"deleted"`
	Prev     []KeyValue  `json:"prev"`
}

// AppendTxnResult appends the JSON of the answer to req.
func AppendTxnResult(dst []byte, req *kv.TxnRequest, resp *kv.TxnResponse) []byte {
	dst = append(dst, `{"revision":`...)
	dst = strconv.AppendInt(dst, int64(resp.Revision), 10)
	return appendOutcome(append(dst, ','), req, resp)
}

// appendOutcome appends the rest of an object that has begun.
func appendOutcome(dst []byte, req *kv.TxnRequest, resp *kv.TxnResponse) []byte {
	dst = append(dst, `"succeeded":`...)
	dst = strconv.AppendBool(dst, resp.Succeeded)
	dst = append(dst, `,"results":[`...)
	branch := req.Failure
	if resp.Succeeded {
		branch = req.Success
	}
	for i := range resp.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendResult(dst, branch[i], &resp.Results[i])
	}
	return append(dst, "]}"...)
}

func appendResult(dst []byte, op kv.Op, result *kv.Result) []byte {
	switch {
	case result.Range != nil:
		dst = append(dst, `{"get":`...)
		dst = AppendPage(dst, op.Range, result.Range, 0, "")
	case result.Put != nil:
		dst = append(dst, `{"put":{"version":`...)
		dst = strconv.AppendInt(dst, result.Put.Version, 10)
		if result.Put.Prev != nil {
			dst = AppendKeyValue(append(dst, `,"prev":`...), result.Put.Prev, false)
		}
		dst = append(dst, '}')
	case result.Delete != nil:
		dst = append(dst, `{"delete":{`...)
		dst = appendDeleted(dst, op.Delete.PrevKV, result.Delete)
	case result.Txn != nil:
		dst = append(dst, `{"txn":{`...)
		dst = appendOutcome(dst, op.Txn, result.Txn)
	}
	return append(dst, '}')
}

func appendDeleted(dst []byte, prev bool, resp *kv.DeleteResponse) []byte {
	dst = append(dst, `"deleted":`...)
	dst = strconv.AppendInt(dst, resp.Deleted, 10)
	if prev {
		dst = appendKeyValues(append(dst, `,"prev":`...), resp.Prev, false)
	}
	return append(dst, '}')
}

// AppendDeleteResult appends the JSON of the answer to a delete of a range:
//
//	{"revision":9,"deleted":2,"prev":[…]}
func AppendDeleteResult(dst []byte, at kv.Revision, prev bool, resp *kv.DeleteResponse) []byte {
	dst = append(dst, `{"revision":`...)
	dst = strconv.AppendInt(dst, int64(at), 10)
	return appendDeleted(append(dst, ','), prev, resp)
}

// Decode is the answer that j stands for. Nested answers get its revision.
func (j *TxnResult) Decode() (kv.TxnResponse, error) {
	return j.decode(j.Revision)
}

func (j *TxnResult) decode(at kv.Revision) (kv.TxnResponse, error) {
	resp := kv.TxnResponse{Revision: at, Succeeded: j.Succeeded}
	for i := range j.Results {
		result, err := j.Results[i].decode(at)
		if err != nil {
			return resp, fmt.Errorf("result %d: %w", i, err)
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func (j *Result) decode(at kv.Revision) (kv.Result, error) {
	switch {
	case j.Get != nil:
		page, err := j.Get.Decode()
		page.Revision = at
		return kv.Result{Range: &page}, err
	case j.Put != nil:
		put, err := j.Put.decode()
		return kv.Result{Put: put}, err
	case j.Delete != nil:
		prev, err := decodeKeyValues(j.Delete.Prev)
		return kv.Result{Delete: &kv.DeleteResponse{Deleted: j.Delete.Deleted, Prev: prev}}, err
	case j.Txn != nil:
		nested, err := j.Txn.decode(at)
		return kv.Result{Txn: &nested}, err
	}
	return kv.Result{}, kv.Invalid("it is empty")
}

func (j *PutResult) decode() (*kv.PutResponse, error) {
	resp := &kv.PutResponse{Version: j.Version}
	if j.Prev == nil {
		return resp, nil
	}
	prev, err := j.Prev.Decode()
	resp.Prev = &prev
	return resp, err
}
