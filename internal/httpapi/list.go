package httpapi

import (
	"math"
	"net/http"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// The bounds of a JSON page.
const (
	pageKeysDefault = 1000
	pageKeysMax     = 10_000
	pageBytesMax    = 1 << 20
)

// listKeys is GET /v1/kv: a page of a range as JSON, or all of it as NDJSON.
func (a *api) listKeys(w http.ResponseWriter, r *http.Request) error {
	streamed := wantsNDJSON(r.Header)
	req, err := parseList(r, streamed)
	if err != nil {
		return err
	}
	if streamed && !req.CountOnly {
		return a.stream(w, r, req)
	}
	return a.page(w, r, req)
}

// wantsNDJSON tells whether the client accepts NDJSON by name.
func wantsNDJSON(header http.Header) bool {
	for _, line := range header["Accept"] {
		if strings.Contains(strings.ToLower(line), kvjson.NDJSONType) {
			return true
		}
	}
	return false
}

// parseList reads the query of listKeys. A stream has no bound on its limit.
func parseList(r *http.Request, streamed bool) (kv.RangeRequest, error) {
	q := parseQuery(r, "prefix", "start", "end", "limit", "bytes_max", "revision", "keys_only",
		"count_only", "count", "reverse", "consistency", "cursor")
	limitMax := int64(pageKeysMax)
	if streamed {
		limitMax = math.MaxInt32
	}
	limit := int(q.number("limit", limitMax))
	if q.values.Has("cursor") {
		return q.continued(limit)
	}
	req := kv.RangeRequest{
		Range:        q.keys(),
		Limit:        limit,
		BytesMax:     int(q.number("bytes_max", math.MaxInt32)),
		Revision:     q.revision("revision"),
		Serializable: q.serializable(),
		KeysOnly:     q.flag("keys_only"),
		CountOnly:    q.flag("count_only"),
		WantCount:    q.flag("count"),
		Reverse:      q.flag("reverse"),
	}
	return req, q.err
}

// keys is the range that the query names, by default all keys.
func (q *query) keys() kv.Range {
	key, prefix := q.bytes("key"), q.bytes("prefix")
	start, end := q.bytes("start"), q.bytes("end")
	if key == nil && prefix == nil && start == nil && end == nil {
		return kv.Range{}
	}
	keys, err := kvjson.NewRange(key, prefix, start, end)
	if err != nil && q.err == nil {
		q.err = err
	}
	return keys
}

// continued is the request that the cursor stands for. Only the limit may be
// given anew.
func (q *query) continued(limit int) (kv.RangeRequest, error) {
	for name := range q.values {
		if name != "cursor" && name != "limit" {
			q.fail("%s goes not with cursor, which holds it already", name)
		}
	}
	if q.err != nil {
		return kv.RangeRequest{}, q.err
	}
	req, err := decodeCursor(q.values.Get("cursor"))
	if limit > 0 {
		req.Limit = limit
	}
	return req, err
}

// page answers with one JSON page.
func (a *api) page(w http.ResponseWriter, r *http.Request, req kv.RangeRequest) error {
	if req.Limit == 0 {
		req.Limit = pageKeysDefault
	}
	if req.BytesMax == 0 || req.BytesMax > pageBytesMax {
		req.BytesMax = pageBytesMax
	}
	resp, err := a.store.Range(r.Context(), req)
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	next := req
	next.Revision = snapshotOf(&req, &resp)
	cursor := ""
	if resp.More {
		next.Range = after(req, resp.KVs[len(resp.KVs)-1].Key)
		cursor = encodeCursor(&next)
	}
	body := kvjson.AppendPage(nil, &req, &resp, next.Revision, cursor)
	w.Header()["Cache-Control"] = noCache
	answer(w, r, http.StatusOK, kvjson.JSONType, append(body, '\n'))
	return nil
}

// snapshotOf is the revision that resp shows the store at.
func snapshotOf(req *kv.RangeRequest, resp *kv.RangeResponse) kv.Revision {
	if req.Revision != 0 {
		return req.Revision
	}
	return resp.Revision
}

// after is what is left of req's range once it came to key last.
func after(req kv.RangeRequest, last []byte) kv.Range {
	if req.Reverse {
		return kv.Range{Start: req.Start, End: last}
	}
	return kv.Range{Start: kv.PointRange(last).End, End: req.End}
}

// deleteKeys is DELETE /v1/kv: a range at once.
func (a *api) deleteKeys(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r, "prefix", "start", "end", "prev")
	keys, prev := q.keys(), q.flag("prev")
	if q.err != nil {
		return q.err
	}
	if len(q.values) == 0 || (prev && len(q.values) == 1) {
		return kv.Invalid("no keys are named: give prefix, start or end; prefix= is every key")
	}
	del := &kv.DeleteRequest{Range: keys, PrevKV: prev}
	resp, err := a.store.Txn(r.Context(), kv.TxnRequest{Success: []kv.Op{{Delete: del}}})
	if err != nil {
		return err
	}
	a.reached(w, resp.Revision)
	body := kvjson.AppendDeleteResult(nil, resp.Revision, prev, resp.Results[0].Delete)
	answer(w, r, http.StatusOK, kvjson.JSONType, append(body, '\n'))
	return nil
}
