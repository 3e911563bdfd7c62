package etcdapi

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/miruvor/miruvor/internal/kv"
)

// keyRange is the range that a key and a range end stand for: without an end
// the key alone, and with an end of one zero byte all keys from the key on. It
// may use the room behind key, which is the caller's own.
func keyRange(key, end []byte) kv.Range {
	switch {
	case len(end) == 0:
		n := len(key)
		next := append(key, 0)
		return kv.Range{Start: next[:n:n], End: next}
	case len(end) == 1 && end[0] == 0:
		return kv.Range{Start: key}
	}
	return kv.Range{Start: key, End: end}
}

// keyValues are versions in etcd's form. They share keys and values with kvs.
func keyValues(kvs []kv.KeyValue) []*mvccpb.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	all := make([]mvccpb.KeyValue, len(kvs))
	list := make([]*mvccpb.KeyValue, len(kvs))
	for i := range kvs {
		fillKeyValue(&all[i], &kvs[i])
		list[i] = &all[i]
	}
	return list
}

// keyValue is a version in etcd's form, nil if there is none.
func keyValue(from *kv.KeyValue) *mvccpb.KeyValue {
	if from == nil {
		return nil
	}
	to := new(mvccpb.KeyValue)
	fillKeyValue(to, from)
	return to
}

func fillKeyValue(to *mvccpb.KeyValue, from *kv.KeyValue) {
	to.Key, to.Value = from.Key, from.Value
	to.CreateRevision, to.ModRevision = int64(from.CreateRevision), int64(from.ModRevision)
	to.Version, to.Lease = from.Version, int64(from.Lease)
}
