package etcdapi

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/miruvor/miruvor/internal/kv"
)

// Answers that encode themselves, from what the store said and with no message in
// between: they are what nearly all answers are. The bytes are those of etcd's
// messages, with fields in the order of their numbers.

// Numbers of fields.
const (
	rangeKVs   protowire.Number = 2
	rangeMore  protowire.Number = 3
	rangeCount protowire.Number = 4

	putPrev protowire.Number = 2

	deleteCount protowire.Number = 2
	deletePrev  protowire.Number = 3

	streamRange protowire.Number = 1
)

// heading is a header, and an answer that has nothing else.
type heading struct {
	standing kv.Standing
	revision kv.Revision
}

// heading is the header of an answer at a revision.
func (a *API) heading(rev kv.Revision) heading {
	return heading{standing: a.maint.Standing(), revision: rev}
}

// append implements reply.
func (h heading) append(b []byte) []byte {
	s := &h.standing
	b, at := beginMessage(b, responseHeader)
	b = appendVarintField(b, headerCluster, uint64(s.Cluster))
	b = appendVarintField(b, headerMember, uint64(s.Node))
	b = appendVarintField(b, headerRevision, uint64(h.revision))
	b = appendVarintField(b, headerTerm, s.Term)
	return endMessage(b, at)
}

// rangeReply is a RangeResponse.
type rangeReply struct {
	heading
	read kv.RangeResponse
}

// append implements reply.
func (r *rangeReply) append(b []byte) []byte {
	return appendRead(r.heading.append(b), &r.read)
}

// appendRead appends all of a RangeResponse but the header.
func appendRead(b []byte, read *kv.RangeResponse) []byte {
	b = appendKeyValues(b, rangeKVs, read.KVs)
	if read.More {
		b = appendVarintField(b, rangeMore, 1)
	}
	return appendVarintField(b, rangeCount, uint64(read.Count))
}

// putReply is a PutResponse.
type putReply struct {
	heading
	prev *kv.KeyValue
}

// append implements reply.
func (r *putReply) append(b []byte) []byte {
	b = r.heading.append(b)
	if r.prev != nil {
		b = appendKeyValue(b, putPrev, r.prev)
	}
	return b
}

// deleteReply is a DeleteRangeResponse.
type deleteReply struct {
	heading
	deleted kv.DeleteResponse
}

// append implements reply.
func (r *deleteReply) append(b []byte) []byte {
	b = appendVarintField(r.heading.append(b), deleteCount, uint64(r.deleted.Deleted))
	return appendKeyValues(b, deletePrev, r.deleted.Prev)
}

// chunkReply is a RangeStreamResponse.
type chunkReply struct {
	// heading is that of the last chunk, nil before.
	heading *heading
	read    kv.RangeResponse
}

// append implements reply.
func (r *chunkReply) append(b []byte) []byte {
	b, at := beginMessage(b, streamRange)
	if r.heading != nil {
		b = r.heading.append(b)
	}
	return endMessage(appendRead(b, &r.read), at)
}

func appendKeyValues(b []byte, field protowire.Number, kvs []kv.KeyValue) []byte {
	if len(kvs) > 1 {
		b = slices.Grow(b, keyValuesSize(kvs))
	}
	for i := range kvs {
		b = appendKeyValue(b, field, &kvs[i])
	}
	return b
}

// keyValuesSize is what versions take in an answer.
func keyValuesSize(kvs []kv.KeyValue) int {
	size := 0
	for i := range kvs {
		size += protowire.SizeTag(rangeKVs) + protowire.SizeBytes(keyValueSize(&kvs[i]))
	}
	return size
}

// beginMessage begins a message in another, which lasts until endMessage: at is
// what that needs to know. Its size, which comes first, is taken for a byte.
func beginMessage(b []byte, field protowire.Number) (_ []byte, at int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0)
	return b, len(b)
}

// endMessage writes the size of what was appended since.
func endMessage(b []byte, at int) []byte {
	size := uint64(len(b) - at)
	if more := protowire.SizeVarint(size) - 1; more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[at+more:], b[at:])
	}
	protowire.AppendVarint(b[:at-1], size)
	return b
}
