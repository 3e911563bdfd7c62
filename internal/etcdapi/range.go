package etcdapi

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// work is what of a range the store can't do, so that it is done to what the
// store returned.
type work uint8

const (
	// asStored: the store's order and limit are the request's.
	asStored work = iota
	// sortedAfterLimit: no order is asked for, but a target other than the
	// key. etcd reads one key more than the limit, in the order of keys, sorts
	// these by the target, and then cuts.
	sortedAfterLimit
	// sortedBeforeLimit: the limit is for what filters leave, in an order
	// that is not that of keys.
	sortedBeforeLimit
)

func workOf(r *pb.RangeRequest) work {
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
	switch workOf(r) {
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

// shape makes of what the store said to rangeRequest(r) what etcd would answer.
func shape(r *pb.RangeRequest, read *kv.RangeResponse) {
	if r.CountOnly {
		return
	}
	if read.Count == 0 {
		read.Count = int64(len(read.KVs))
	}
	if workOf(r) != asStored {
		read.KVs = filtered(read.KVs, r)
		sortBy(r, read.KVs)
		limit := limitOf(r)
		read.More = limit > 0 && len(read.KVs) > limit
		if read.More {
			read.KVs = read.KVs[:limit]
		}
	}
	if r.KeysOnly {
		strip(read.KVs, r.SortTarget)
	}
}

// strip leaves what etcd does if only keys are asked for. It reads them from its
// index, which knows no leases, unless it had to sort by value.
func strip(kvs []kv.KeyValue, target pb.RangeRequest_SortTarget) {
	for i := range kvs {
		kvs[i].Value = nil
		if target != pb.RangeRequest_VALUE {
			kvs[i].Lease = 0
		}
	}
}
