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

// keyValue is a version in etcd's form, nil if there is none. It shares key and
// value with from.
func keyValue(from *kv.KeyValue) *mvccpb.KeyValue {
	if from == nil {
		return nil
	}
	return &mvccpb.KeyValue{
		Key: from.Key, Value: from.Value,
		CreateRevision: int64(from.CreateRevision), ModRevision: int64(from.ModRevision),
		Version: from.Version, Lease: int64(from.Lease),
	}
}
