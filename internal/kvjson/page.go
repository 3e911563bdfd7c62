package kvjson

import (
	"strconv"

	"github.com/miruvor/miruvor/internal/kv"
)

// Page is the answer to a range read as JSON:
//
//	{"revision":7,"kvs":[…],"more":true,"count":12,"cursor":"…"}
type Page struct {
	// Revision is what the page is a snapshot at; inside a transaction it
	// is missing.
	Revision kv.Revision `json:"revision"`
	KVs      []KeyValue  `json:"kvs"`
	More     bool        `json:"more"`
	// Count is there if it was asked for.
	Count *int64 `json:"count"`
	// Cursor asks for what follows this page, if anything does.
	Cursor string `json:"cursor"`
}

// Decode is the answer that p stands for, its revision as in the page.
func (p *Page) Decode() (kv.RangeResponse, error) {
	pairs, err := decodeKeyValues(p.KVs)
	if err != nil {
		return kv.RangeResponse{}, err
	}
	resp := kv.RangeResponse{Revision: p.Revision, KVs: pairs, More: p.More}
	if p.Count != nil {
		resp.Count = *p.Count
	}
	return resp, nil
}

// AppendPage appends the JSON of a page of req's answer. at is the revision
// that it is a snapshot at, cursor what asks for the next page; a zero or
// empty one is left out.
func AppendPage(
	dst []byte, req *kv.RangeRequest, resp *kv.RangeResponse, at kv.Revision, cursor string,
) []byte {
	dst = append(dst, '{')
	if at != 0 {
		dst = append(dst, `"revision":`...)
		dst = strconv.AppendInt(dst, int64(at), 10)
		dst = append(dst, ',')
	}
	if req.CountOnly {
		dst = append(dst, `"count":`...)
		return append(strconv.AppendInt(dst, resp.Count, 10), '}')
	}
	dst = appendKeyValues(append(dst, `"kvs":`...), resp.KVs, req.KeysOnly)
	dst = append(dst, `,"more":`...)
	dst = strconv.AppendBool(dst, resp.More)
	if req.WantCount {
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendInt(dst, resp.Count, 10)
	}
	if cursor != "" {
		dst = appendString(append(dst, `,"cursor":`...), []byte(cursor))
	}
	return append(dst, '}')
}
