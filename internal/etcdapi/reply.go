package etcdapi

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/miruvor/miruvor/internal/kv"
)

// Answers that encode themselves, from what the store said, without a message in
// between. Bytes are those of etcd's messages in the order of their fields.

// rangeReply is a RangeResponse.
type rangeReply struct {
	standing kv.Standing
	// read is in the order of the answer. Its count is that of the answer.
	read kv.RangeResponse
	// keysOnly leaves out values and leases.
	keysOnly bool
}

// append implements reply.
func (r *rangeReply) append(b []byte) []byte {
	b = appendHeader(b, &r.standing, r.read.Revision)
	for i := range r.read.KVs {
		pair := &r.read.KVs[i]
		if r.keysOnly {
			pair.Value, pair.Lease = nil, 0
		}
		b = appendKeyValue(b, rangeKVs, pair)
	}
	if r.read.More {
		b = appendVarintField(b, rangeMore, 1)
	}
	return appendVarintField(b, rangeCount, uint64(r.read.Count))
}

// putReply is a PutResponse.
type putReply struct {
	standing kv.Standing
	revision kv.Revision
	prev     *kv.KeyValue
}

// append implements reply.
func (r *putReply) append(b []byte) []byte {
	b = appendHeader(b, &r.standing, r.revision)
	if r.prev != nil {
		b = appendKeyValue(b, putPrev, r.prev)
	}
	return b
}

// Numbers of fields.
const (
	rangeKVs   protowire.Number = 2
	rangeMore  protowire.Number = 3
	rangeCount protowire.Number = 4
	putPrev    protowire.Number = 2
)

// appendHeader appends the header of an answer, which is field 1 of each.
func appendHeader(b []byte, s *kv.Standing, rev kv.Revision) []byte {
	size := varintFieldSize(headerCluster, uint64(s.Cluster)) +
		varintFieldSize(headerMember, uint64(s.Node)) +
		varintFieldSize(headerRevision, uint64(rev)) +
		varintFieldSize(headerTerm, s.Term)
	b = protowire.AppendTag(b, responseHeader, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendVarintField(b, headerCluster, uint64(s.Cluster))
	b = appendVarintField(b, headerMember, uint64(s.Node))
	b = appendVarintField(b, headerRevision, uint64(rev))
	return appendVarintField(b, headerTerm, s.Term)
}
