package keyspace

import (
	"encoding/binary"

	"github.com/miruvor/miruvor/internal/kv"
)

// Space is the first byte of a key in the engine.
type Space byte

// The spaces, in the order in which they lie in the engine.
const (
	SpaceNode Space = 1 + iota
	SpaceMeta
	_ // reserved
	SpaceVersion
	SpaceHistory
	SpaceLease
	spaceEnd
)

// Kind tells apart the entries of a shard's metadata, and those of a node.
type Kind byte

// The kinds of a shard's metadata. The last four are the system shard's alone.
const (
	KindApplied    Kind = 'a'
	KindDescriptor Kind = 'd'
	KindCompacted  Kind = 'c'
	KindLease      Kind = 'l'
	KindPrepare    Kind = 'p'
	KindOutcome    Kind = 't'
	KindOracle     Kind = 'o'
	KindRegistry   Kind = 'r'
	KindMap        Kind = 'm'
	KindAlarms     Kind = 'w'
)

// The kinds of what a node keeps for itself.
const (
	KindIdentity Kind = 'n'
	KindPeer     Kind = 'p'
)

const (
	shardBytes    = 4
	subBytes      = 4
	revisionBytes = 8
	metaBytes     = 1 + shardBytes + 1
	historyBytes  = 1 + shardBytes + revisionBytes + subBytes
)

// NodeKey is the key of what a node keeps for itself.
func NodeKey(kind Kind) []byte {
	return []byte{byte(SpaceNode), byte(kind)}
}

// PeerKey appends the key of the last incarnation seen of a peer.
func PeerKey(buf []byte, node kv.NodeID) []byte {
	buf = append(buf, byte(SpaceNode), byte(KindPeer))
	return binary.BigEndian.AppendUint64(buf, uint64(node))
}

// MetaKey appends the key of an entry of a shard's metadata.
func MetaKey(buf []byte, shard kv.ShardID, kind Kind, suffix ...byte) []byte {
	buf = append(buf, byte(SpaceMeta))
	buf = binary.BigEndian.AppendUint32(buf, uint32(shard))
	buf = append(buf, byte(kind))
	return append(buf, suffix...)
}

// ParseMetaKey undoes MetaKey. The suffix aliases b.
func ParseMetaKey(b []byte) (shard kv.ShardID, kind Kind, suffix []byte, err error) {
	if len(b) < metaBytes || Space(b[0]) != SpaceMeta {
		return 0, 0, nil, corrupt("not a metadata key", b)
	}
	shard = kv.ShardID(binary.BigEndian.Uint32(b[1:]))
	return shard, Kind(b[metaBytes-1]), b[metaBytes:], nil
}

// TxnKey appends the key of a record (KindPrepare, KindOutcome) of a
// transaction over several shards, which is named by a node and a number.
func TxnKey(buf []byte, shard kv.ShardID, kind Kind, node kv.NodeID, seq uint64) []byte {
	buf = MetaKey(buf, shard, kind)
	buf = binary.BigEndian.AppendUint64(buf, uint64(node))
	return binary.BigEndian.AppendUint64(buf, seq)
}

// RegistryKey appends the key of a node's entry in the system shard.
func RegistryKey(buf []byte, node kv.NodeID) []byte {
	buf = MetaKey(buf, kv.SystemShard, KindRegistry)
	return binary.BigEndian.AppendUint64(buf, uint64(node))
}

// MapKey appends the key of a shard's entry in the map of the system shard.
func MapKey(buf []byte, shard kv.ShardID) []byte {
	buf = MetaKey(buf, kv.SystemShard, KindMap)
	return binary.BigEndian.AppendUint32(buf, uint32(shard))
}

// VersionPrefix appends what the versions of key, and nothing else, begin
// with. Prefixes of different keys are ordered as the keys are.
func VersionPrefix(buf, key []byte) []byte {
	return appendEscaped(append(buf, byte(SpaceVersion)), key)
}

// VersionKey appends the key of the version of key that was written at rev.
// Among the keys with one prefix, the first one >= VersionKey(key, rev) is
// the newest version at or below rev.
func VersionKey(buf, key []byte, rev kv.Revision) []byte {
	return AppendRevision(VersionPrefix(buf, key), rev)
}

// AppendRevision makes a version's key of a version's prefix.
func AppendRevision(prefix []byte, rev kv.Revision) []byte {
	return binary.BigEndian.AppendUint64(prefix, ^uint64(rev))
}

// AfterVersions turns a version's prefix, in place, into the lowest key above
// all that begin with it.
func AfterVersions(prefix []byte) []byte {
	prefix[len(prefix)-1] = terminator + 1
	return prefix
}

// SplitVersionKey cuts a version's key into its prefix, which aliases b, and
// its revision. It is ParseVersionKey without the user key.
func SplitVersionKey(b []byte) (prefix []byte, rev kv.Revision, err error) {
	if len(b) < 1+2+revisionBytes || Space(b[0]) != SpaceVersion {
		return nil, 0, corrupt("not a version's key", b)
	}
	cut := len(b) - revisionBytes
	rev = kv.Revision(^binary.BigEndian.Uint64(b[cut:]))
	if rev < kv.FirstRevision || rev > kv.RevisionMax {
		return nil, 0, corrupt("a version's key with an impossible revision", b)
	}
	return b[:cut:cut], rev, nil
}

// UserKey is the user key of a version's prefix. It aliases the prefix unless
// the key has a zero byte in it.
func UserKey(prefix []byte) ([]byte, error) {
	if len(prefix) == 0 || Space(prefix[0]) != SpaceVersion {
		return nil, corrupt("not a version's prefix", prefix)
	}
	length, plain, err := escapedLen(prefix[1:])
	if err != nil {
		return nil, err
	}
	if length != len(prefix)-1 {
		return nil, corrupt("a key that goes on after its end", prefix)
	}
	return unescape(prefix[1:], plain), nil
}

// ParseVersionKey undoes VersionKey. The key aliases b unless it has a zero
// byte in it.
func ParseVersionKey(b []byte) (key []byte, rev kv.Revision, err error) {
	prefix, rev, err := SplitVersionKey(b)
	if err != nil {
		return nil, 0, err
	}
	if key, err = UserKey(prefix); err != nil {
		return nil, 0, err
	}
	return key, rev, nil
}

// HistoryKey appends the key of the sub-th write of the transaction at rev.
func HistoryKey(buf []byte, shard kv.ShardID, rev kv.Revision, sub uint32) []byte {
	buf = append(buf, byte(SpaceHistory))
	buf = binary.BigEndian.AppendUint32(buf, uint32(shard))
	buf = binary.BigEndian.AppendUint64(buf, uint64(rev))
	return binary.BigEndian.AppendUint32(buf, sub)
}

// ParseHistoryKey undoes HistoryKey.
func ParseHistoryKey(b []byte) (shard kv.ShardID, rev kv.Revision, sub uint32, err error) {
	if len(b) != historyBytes || Space(b[0]) != SpaceHistory {
		return 0, 0, 0, corrupt("not a history key", b)
	}
	shard = kv.ShardID(binary.BigEndian.Uint32(b[1:]))
	rev = kv.Revision(binary.BigEndian.Uint64(b[1+shardBytes:]))
	sub = binary.BigEndian.Uint32(b[1+shardBytes+revisionBytes:])
	if rev < kv.FirstRevision || rev > kv.RevisionMax {
		return 0, 0, 0, corrupt("a history key with an impossible revision", b)
	}
	return shard, rev, sub, nil
}
