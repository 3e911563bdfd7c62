package kvfake

import (
	"slices"

	"github.com/miruvor/miruvor/internal/kv"
)

// read answers a range that has been checked. current is the revision that a
// read without one of its own sees.
func (s *Store) read(req *kv.RangeRequest, current kv.Revision) kv.RangeResponse {
	at := current
	if req.Revision != 0 {
		at = req.Revision
	}
	found := s.history.scan(req.Range, at)
	resp := kv.RangeResponse{Revision: current}
	if req.WantCount || req.CountOnly {
		resp.Count = int64(len(found))
	}
	if req.CountOnly {
		return resp
	}
	if req.Reverse {
		slices.Reverse(found)
	}
	page := firstPage(found, req)
	resp.More = len(page) < len(found)
	for _, kv := range page {
		if req.KeysOnly {
			kv.Value = nil
		}
		resp.KVs = append(resp.KVs, clone(kv))
	}
	return resp
}

// firstPage is as much of found as req's limits let through.
func firstPage(found []kv.KeyValue, req *kv.RangeRequest) []kv.KeyValue {
	if req.Limit > 0 && len(found) > req.Limit {
		found = found[:req.Limit]
	}
	if req.BytesMax == 0 {
		return found
	}
	size := 0
	for i, kv := range found {
		size += len(kv.Key)
		if !req.KeysOnly {
			size += len(kv.Value)
		}
		if size >= req.BytesMax {
			return found[:i+1]
		}
	}
	return found
}
