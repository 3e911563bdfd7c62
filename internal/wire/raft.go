package wire

import (
	"encoding/binary"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
	raftpb "go.etcd.io/raft/v3/raftpb"
)

const (
	raftShard       = 1<<2 | kindUint
	raftMsg         = 2<<2 | kindStruct
	raftStamp       = 3<<2 | kindUint
	raftClosed      = 4<<2 | kindUint
	raftClosedIndex = 5<<2 | kindUint
	raftAllocated   = 6<<2 | kindUint
)

const (
	msgType       = 1<<2 | kindUint
	msgTo         = 2<<2 | kindUint
	msgFrom       = 3<<2 | kindUint
	msgTerm       = 4<<2 | kindUint
	msgLogTerm    = 5<<2 | kindUint
	msgIndex      = 6<<2 | kindUint
	msgEntries    = 7<<2 | kindList
	msgCommit     = 8<<2 | kindUint
	msgSnapshot   = 9<<2 | kindStruct
	msgReject     = 10<<2 | kindUint
	msgRejectHint = 11<<2 | kindUint
	msgContext    = 12<<2 | kindBytes
	msgVote       = 13<<2 | kindUint
)

const (
	entryType  = 1<<2 | kindUint
	entryTerm  = 2<<2 | kindUint
	entryIndex = 3<<2 | kindUint
	entryData  = 4<<2 | kindBytes

	// entrySizeMin is what the shortest entry takes: its term and its index
	// are always written.
	entrySizeMin = 5
)

// Travels reports whether raft messages of type t go from node to node as a
// Message. Those that a replica says to itself do not, nor do MsgSnap (a
// snapshot is streamed), MsgProp and MsgTransferLeader (neither is ever
// forwarded: the leader must evaluate writes, and give its lease up first).
func Travels(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp,
		raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgTimeoutNow, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		return true
	}
	return false
}

func appendRaft(buf []byte, m *Raft) []byte {
	buf = appendUint(buf, raftShard, uint64(m.Shard))
	buf = appendMsg(append(buf, raftMsg), m.Msg)
	buf = appendUint(buf, raftStamp, uint64(m.Stamp))
	buf = appendUint(buf, raftClosed, uint64(m.Closed))
	buf = appendUint(buf, raftClosedIndex, m.ClosedIndex)
	buf = appendUint(buf, raftAllocated, uint64(m.Allocated))
	return appendEnd(buf)
}

// raftSlot is a Raft and all that its message's pointers point to, so that a
// message without entries is one allocation.
type raftSlot struct {
	raft Raft
	msg  msgSlot
}

func (r *reader) raft() *Raft {
	slot := new(raftSlot)
	out := &slot.raft
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case raftShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		case raftMsg:
			out.Msg = r.msg(&slot.msg)
		case raftStamp:
			out.Stamp = Instant(r.uint())
		case raftClosed:
			out.Closed = kv.Revision(r.uint())
		case raftClosedIndex:
			out.ClosedIndex = r.uint()
		case raftAllocated:
			out.Allocated = kv.Revision(r.uint())
		default:
			r.skip(tag)
		}
	}
	return out
}

// appendPresent writes *v if v is set, zero included: raft's structs tell
// unset from zero.
func appendPresent(buf []byte, tag byte, v *uint64) []byte {
	if v == nil {
		return buf
	}
	return binary.AppendUvarint(append(buf, tag), *v)
}

func appendMsg(buf []byte, m *raftpb.Message) []byte {
	if m.Type != nil {
		buf = binary.AppendUvarint(append(buf, msgType), uint64(*m.Type))
	}
	buf = appendPresent(buf, msgTo, m.To)
	buf = appendPresent(buf, msgFrom, m.From)
	buf = appendPresent(buf, msgTerm, m.Term)
	buf = appendPresent(buf, msgLogTerm, m.LogTerm)
	buf = appendPresent(buf, msgIndex, m.Index)
	buf = appendEntries(buf, m.Entries)
	buf = appendPresent(buf, msgCommit, m.Commit)
	if m.Snapshot != nil {
		buf = appendSnapshot(append(buf, msgSnapshot), m.Snapshot)
	}
	if m.Reject != nil {
		buf = binary.AppendUvarint(append(buf, msgReject), bit(*m.Reject))
	}
	buf = appendPresent(buf, msgRejectHint, m.RejectHint)
	buf = appendBytes(buf, msgContext, m.Context)
	buf = appendPresent(buf, msgVote, m.Vote)
	return appendEnd(buf)
}

func bit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// msgSlot is a message together with the scalars that it points to.
type msgSlot struct {
	msg                                                    raftpb.Message
	typ                                                    raftpb.MessageType
	to, from, term, logTerm, index, commit, hint, votedFor uint64
	reject                                                 bool
}

func (r *reader) msg(slot *msgSlot) *raftpb.Message {
	m := &slot.msg
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case msgType:
			slot.typ = raftpb.MessageType(r.uintMax(math.MaxInt32))
			m.Type = &slot.typ
		case msgTo:
			m.To = r.present(&slot.to)
		case msgFrom:
			m.From = r.present(&slot.from)
		case msgTerm:
			m.Term = r.present(&slot.term)
		case msgLogTerm:
			m.LogTerm = r.present(&slot.logTerm)
		case msgIndex:
			m.Index = r.present(&slot.index)
		case msgEntries:
			m.Entries = r.entries()
		case msgCommit:
			m.Commit = r.present(&slot.commit)
		case msgSnapshot:
			m.Snapshot = r.snapshot()
		case msgReject:
			slot.reject = r.bool()
			m.Reject = &slot.reject
		case msgRejectHint:
			m.RejectHint = r.present(&slot.hint)
		case msgContext:
			m.Context = r.bytes()
		case msgVote:
			m.Vote = r.present(&slot.votedFor)
		default:
			r.skip(tag)
		}
	}
	return m
}

// present reads a number into slot and returns slot.
func (r *reader) present(slot *uint64) *uint64 {
	*slot = r.uint()
	return slot
}

func appendEntries(buf []byte, entries []*raftpb.Entry) []byte {
	if len(entries) == 0 {
		return buf
	}
	buf = appendCount(buf, msgEntries, len(entries))
	for _, e := range entries {
		if e.Type != nil {
			buf = binary.AppendUvarint(append(buf, entryType), uint64(*e.Type))
		}
		buf = binary.AppendUvarint(append(buf, entryTerm), e.GetTerm())
		buf = binary.AppendUvarint(append(buf, entryIndex), e.GetIndex())
		buf = appendBytes(buf, entryData, e.Data)
		buf = appendEnd(buf)
	}
	return buf
}

// entrySlot is an entry together with the scalars that it points to.
type entrySlot struct {
	entry       raftpb.Entry
	term, index uint64
	typ         raftpb.EntryType
}

func (r *reader) entries() []*raftpb.Entry {
	n := r.count(entrySizeMin)
	slab := make([]entrySlot, n)
	out := make([]*raftpb.Entry, n)
	for i := range slab {
		r.entry(&slab[i])
		out[i] = &slab[i].entry
	}
	return out
}

func (r *reader) entry(slot *entrySlot) {
	e := &slot.entry
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case entryType:
			slot.typ = raftpb.EntryType(r.uintMax(uint64(raftpb.EntryConfChangeV2)))
			e.Type = &slot.typ
		case entryTerm:
			e.Term = r.present(&slot.term)
		case entryIndex:
			e.Index = r.present(&slot.index)
		case entryData:
			e.Data = r.bytes()
		default:
			r.skip(tag)
		}
	}
	r.require(e.Term != nil && e.Index != nil)
}
