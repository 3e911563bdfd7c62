package etcdapi

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// shape is what of a range the store can't do, so that it is done to what the
// store returned.
type shape uint8

const (
	// asStored: the store's order and limit are the request's.
	asStored shape = iota
	// sortedAfterLimit: no order is asked for, but a target other than the
	// key. etcd reads one key more than the limit, in the order of keys, sorts
	// these by the target, and then cuts.
	sortedAfterLimit
	// sortedBeforeLimit: the limit is for what filters leave, in an order
	// that is not that of keys.
	sortedBeforeLimit
)

func shapeOf(r *pb.RangeRequest) shape {
	switch {
	case hasFilters(r):
		return sortedBeforeLimit
	case r.SortTarget == pb.RangeRequest_KEY:
		return asStored
	case r.SortOrder == pb.RangeRequest_NONE:
		return sortedAfterLimit
	}
	return sortedBeforeLimit
}

func hasFilters(r *pb.RangeRequest) bool {
	return r.MinModRevision != 0 || r.MaxModRevision != 0 ||
		r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
}

// rangeRequest is what the store is asked for r. As in etcd a negative limit
// is none, and a negative revision the latest.
func rangeRequest(r *pb.RangeRequest) kv.RangeRequest {
	req := kv.RangeRequest{
		Range:        keyRange(r.Key, r.RangeEnd),
		Revision:     kv.Revision(max(r.Revision, 0)),
		Serializable: r.Serializable,
		KeysOnly:     r.KeysOnly && r.SortTarget != pb.RangeRequest_VALUE,
		CountOnly:    r.CountOnly,
	}
	if r.CountOnly {
		return req
	}
	limit := limitOf(r)
	switch shapeOf(r) {
	case asStored:
		req.Limit = limit
		req.Reverse = r.SortOrder == pb.RangeRequest_DESCEND
	case sortedAfterLimit:
		if limit > 0 {
			req.Limit = limit + 1
		}
	}
	req.WantCount = req.Limit > 0 && len(r.RangeEnd) > 0
	return req
}

// limitOf is the most keys that r asks for, 0 for no limit.
func limitOf(r *pb.RangeRequest) int {
	return int(min(max(r.Limit, 0), math.MaxInt-1))
}

// rangeAnswer answers r with what the store said to rangeRequest(r), but for
// the header. It shares keys and values with read.
func rangeAnswer(r *pb.RangeRequest, read *kv.RangeResponse) *pb.RangeResponse {
	answer := &pb.RangeResponse{Count: read.Count}
	if r.CountOnly {
		return answer
	}
	if answer.Count == 0 {
		answer.Count = int64(len(read.KVs))
	}
	answer.Kvs, answer.More = keyValues(read.KVs), read.More
	if shapeOf(r) != asStored {
		answer.Kvs = sorted(filtered(answer.Kvs, r), r)
		answer.Kvs, answer.More = cut(answer.Kvs, r.Limit)
	}
	if r.KeysOnly {
		stripValues(answer.Kvs, r.SortTarget)
	}
	return answer
}

// stripValues leaves what etcd does if only keys are asked for. It reads them
// from its index, which knows no leases, unless it had to sort by value.
func stripValues(kvs []*mvccpb.KeyValue, target pb.RangeRequest_SortTarget) {
	for _, kv := range kvs {
		kv.Value = nil
		if target != pb.RangeRequest_VALUE {
			kv.Lease = 0
		}
	}
}

// cut takes the first limit of kvs, and tells whether there are more; a limit
// of 0 or below is none.
func cut(kvs []*mvccpb.KeyValue, limit int64) (first []*mvccpb.KeyValue, more bool) {
	if limit > 0 && int64(len(kvs)) > limit {
		return kvs[:limit], true
	}
	return kvs, false
}
