package etcdimport

import (
	"github.com/miruvor/miruvor/internal/kv"
)

// batch gathers changes of keys, each key once.
type batch struct {
	ops   []kv.Op
	bytes int
}

func (b *batch) put(k *kv.KeyValue) {
	b.ops = append(b.ops, kv.Op{Put: &kv.PutRequest{
		Key: k.Key, Value: k.Value, Lease: k.Lease,
	}})
	b.bytes += len(k.Key) + len(k.Value)
}

func (b *batch) delete(key []byte) {
	keys := kv.PointRange(key)
	b.ops = append(b.ops, kv.Op{Delete: &kv.DeleteRequest{Range: keys}})
	b.bytes += len(keys.Start) + len(keys.End)
}

func (b *batch) reset() { b.ops, b.bytes = nil, 0 }

// opBytes is what an operation counts towards the limit of a request.
func opBytes(op kv.Op) int {
	if op.Put != nil {
		return len(op.Put.Key) + len(op.Put.Value)
	}
	return len(op.Delete.Start) + len(op.Delete.End)
}

// split parts ops into transactions of at most so many operations and bytes; an
// operation that is larger is one by itself.
func split(ops []kv.Op, opsMax, bytesMax int) [][]kv.Op {
	var parts [][]kv.Op
	begin, bytes := 0, 0
	for i, op := range ops {
		size := opBytes(op)
		if i > begin && (i-begin == opsMax || bytes+size > bytesMax) {
			parts = append(parts, ops[begin:i])
			begin, bytes = i, 0
		}
		bytes += size
	}
	if begin < len(ops) {
		parts = append(parts, ops[begin:])
	}
	return parts
}
