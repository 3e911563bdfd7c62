package keyspace

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

// Span is a range of the engine's keys, [Start, End); both are set. It
// converts to an engine.Span.
type Span struct {
	Start, End []byte
}

// Spans is everything in the engine that belongs to a shard that holds the
// keys of r: its metadata, and the versions, history and leases of its keys.
// The spans are sorted and do not overlap. The system shard holds no user keys,
// whatever r is.
func Spans(shard kv.ShardID, r kv.Range) []Span {
	spans := []Span{MetaSpan(shard)}
	if shard != kv.SystemShard && !r.Empty() {
		spans = append(spans, VersionSpan(r))
	}
	return append(spans, HistorySpan(shard, 0, 0), shardSpan(SpaceLease, shard))
}

// Everything is what belongs to shards, whichever: all but what a node keeps for
// itself.
func Everything() Span {
	return Span{Start: []byte{byte(SpaceMeta)}, End: []byte{byte(spaceEnd)}}
}

// MetaSpan holds the metadata of a shard.
func MetaSpan(shard kv.ShardID) Span {
	return shardSpan(SpaceMeta, shard)
}

// VersionSpan holds all versions of the keys of r.
func VersionSpan(r kv.Range) Span {
	return keySpan(SpaceVersion, r)
}

// HistorySpan holds the history of a shard in the revisions [from, to); with
// to 0 there is no upper bound.
func HistorySpan(shard kv.ShardID, from, to kv.Revision) Span {
	span := shardSpan(SpaceHistory, shard)
	if from > 0 {
		span.Start = HistoryKey(nil, shard, from, 0)
	}
	if to > 0 {
		span.End = HistoryKey(nil, shard, to, 0)
	}
	return span
}

func shardSpan(space Space, shard kv.ShardID) Span {
	span := Span{Start: shardPrefix(space, shard), End: []byte{byte(space + 1)}}
	if shard < math.MaxUint32 {
		span.End = shardPrefix(space, shard+1)
	}
	return span
}

func shardPrefix(space Space, shard kv.ShardID) []byte {
	s := uint32(shard)
	return []byte{byte(space), byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
}

func keySpan(space Space, r kv.Range) Span {
	span := Span{Start: []byte{byte(space)}, End: []byte{byte(space + 1)}}
	if len(r.Start) > 0 {
		span.Start = appendEscaped(span.Start, r.Start)
	}
	if r.End != nil {
		span.End = appendEscaped([]byte{byte(space)}, r.End)
	}
	return span
}
