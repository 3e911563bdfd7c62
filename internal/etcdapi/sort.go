package etcdapi

import (
	"bytes"
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// filtered drops from kvs, in place, what the revision filters of r leave out.
func filtered(kvs []*mvccpb.KeyValue, r *pb.RangeRequest) []*mvccpb.KeyValue {
	if !hasFilters(r) {
		return kvs
	}
	return slices.DeleteFunc(kvs, func(kv *mvccpb.KeyValue) bool {
		return !within(kv.ModRevision, r.MinModRevision, r.MaxModRevision) ||
			!within(kv.CreateRevision, r.MinCreateRevision, r.MaxCreateRevision)
	})
}

// within tells whether a revision lies between two bounds; one of 0 is none.
func within(rev, low, high int64) bool {
	return (low == 0 || rev >= low) && (high == 0 || rev <= high)
}

// sorted puts kvs, which are in the order of keys, into the order of r, in
// place. What compares equal comes as package sort leaves it, which is how
// etcd does it: so ties of more than a few come in the same order there.
func sorted(kvs []*mvccpb.KeyValue, r *pb.RangeRequest) []*mvccpb.KeyValue {
	less := order(r.SortTarget)
	switch {
	case r.SortOrder == pb.RangeRequest_DESCEND:
		slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int { return less(b, a) })
	case r.SortTarget != pb.RangeRequest_KEY:
		slices.SortFunc(kvs, less)
	}
	return kvs
}

// order compares by a target.
func order(target pb.RangeRequest_SortTarget) func(a, b *mvccpb.KeyValue) int {
	switch target {
	case pb.RangeRequest_VERSION:
		return func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.Version, b.Version) }
	case pb.RangeRequest_CREATE:
		return func(a, b *mvccpb.KeyValue) int {
			return cmp.Compare(a.CreateRevision, b.CreateRevision)
		}
	case pb.RangeRequest_MOD:
		return func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) }
	case pb.RangeRequest_VALUE:
		return func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Value, b.Value) }
	}
	return func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) }
}
