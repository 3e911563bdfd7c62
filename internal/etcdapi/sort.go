package etcdapi

import (
	"bytes"
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// filtered drops from kvs, in place, what the revision filters of r leave out.
func filtered(kvs []kv.KeyValue, r *pb.RangeRequest) []kv.KeyValue {
	if !hasFilters(r) {
		return kvs
	}
	return slices.DeleteFunc(kvs, func(pair kv.KeyValue) bool {
		return !within(pair.ModRevision, r.MinModRevision, r.MaxModRevision) ||
			!within(pair.CreateRevision, r.MinCreateRevision, r.MaxCreateRevision)
	})
}

// within tells whether a revision lies between two bounds; one of 0 is none.
func within(rev kv.Revision, low, high int64) bool {
	return (low == 0 || int64(rev) >= low) && (high == 0 || int64(rev) <= high)
}

// sortBy puts kvs, which are in the order of keys, into the order of r. What
// compares equal comes as package sort leaves it, which is how etcd does it: so
// ties among many come in the same order there.
func sortBy(r *pb.RangeRequest, kvs []kv.KeyValue) {
	compare := order(r.SortTarget)
	switch {
	case r.SortOrder == pb.RangeRequest_DESCEND:
		slices.SortFunc(kvs, func(a, b kv.KeyValue) int { return compare(&b, &a) })
	case r.SortTarget != pb.RangeRequest_KEY:
		slices.SortFunc(kvs, func(a, b kv.KeyValue) int { return compare(&a, &b) })
	}
}

// order compares by a target.
func order(target pb.RangeRequest_SortTarget) func(a, b *kv.KeyValue) int {
	switch target {
	case pb.RangeRequest_VERSION:
		return func(a, b *kv.KeyValue) int { return cmp.Compare(a.Version, b.Version) }
	case pb.RangeRequest_CREATE:
		return func(a, b *kv.KeyValue) int {
			return cmp.Compare(a.CreateRevision, b.CreateRevision)
		}
	case pb.RangeRequest_MOD:
		return func(a, b *kv.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) }
	case pb.RangeRequest_VALUE:
		return func(a, b *kv.KeyValue) int { return bytes.Compare(a.Value, b.Value) }
	}
	return func(a, b *kv.KeyValue) int { return bytes.Compare(a.Key, b.Key) }
}
