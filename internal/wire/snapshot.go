package wire

import (
	"encoding/binary"
	"math"

	"github.com/miruvor/miruvor/internal/kv"
	raftpb "go.etcd.io/raft/v3/raftpb"
)

const (
	headerShard      = 1<<2 | kindUint
	headerMsg        = 2<<2 | kindStruct
	headerDescriptor = 3<<2 | kindBytes
)

const (
	snapshotData     = 1<<2 | kindBytes
	snapshotMetadata = 2<<2 | kindStruct

	metadataConfState = 1<<2 | kindStruct
	metadataIndex     = 2<<2 | kindUint
	metadataTerm      = 3<<2 | kindUint

	confVoters         = 1<<2 | kindUint // once for each voter, and so on
	confLearners       = 2<<2 | kindUint
	confVotersOutgoing = 3<<2 | kindUint
	confLearnersNext   = 4<<2 | kindUint
	confAutoLeave      = 5<<2 | kindUint
)

// AppendSnapshotHeader appends the encoding of h to buf. h.Msg is a MsgSnap.
func AppendSnapshotHeader(buf []byte, h *SnapshotHeader) []byte {
	buf = appendUint(buf, headerShard, uint64(h.Shard))
	buf = appendMsg(append(buf, headerMsg), h.Msg)
	buf = appendBytes(buf, headerDescriptor, h.Descriptor)
	return appendEnd(buf)
}

// DecodeSnapshotHeader decodes a header that is all of data. It returns
// ErrMalformed for anything else. Byte slices of the header alias data.
func DecodeSnapshotHeader(data []byte) (SnapshotHeader, error) {
	var out SnapshotHeader
	r := reader{buf: data}
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case headerShard:
			out.Shard = kv.ShardID(r.uintMax(math.MaxUint32))
		case headerMsg:
			out.Msg = r.msg(new(msgSlot))
		case headerDescriptor:
			out.Descriptor = r.bytes()
		default:
			r.skip(tag)
		}
	}
	r.require(out.Msg.GetType() == raftpb.MsgSnap && len(r.buf) == 0)
	if _, err := r.finish(); err != nil {
		return SnapshotHeader{}, err
	}
	return out, nil
}

func appendSnapshot(buf []byte, s *raftpb.Snapshot) []byte {
	buf = appendBytes(buf, snapshotData, s.Data)
	if s.Metadata != nil {
		buf = appendMetadata(append(buf, snapshotMetadata), s.Metadata)
	}
	return appendEnd(buf)
}

func (r *reader) snapshot() *raftpb.Snapshot {
	out := new(raftpb.Snapshot)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case snapshotData:
			out.Data = r.bytes()
		case snapshotMetadata:
			out.Metadata = r.metadata()
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendMetadata(buf []byte, m *raftpb.SnapshotMetadata) []byte {
	if m.ConfState != nil {
		buf = appendConfState(append(buf, metadataConfState), m.ConfState)
	}
	buf = appendPresent(buf, metadataIndex, m.Index)
	buf = appendPresent(buf, metadataTerm, m.Term)
	return appendEnd(buf)
}

func (r *reader) metadata() *raftpb.SnapshotMetadata {
	out := new(raftpb.SnapshotMetadata)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case metadataConfState:
			out.ConfState = r.confState()
		case metadataIndex:
			out.Index = r.present(new(uint64))
		case metadataTerm:
			out.Term = r.present(new(uint64))
		default:
			r.skip(tag)
		}
	}
	return out
}

func appendConfState(buf []byte, c *raftpb.ConfState) []byte {
	buf = appendIDs(buf, confVoters, c.Voters)
	buf = appendIDs(buf, confLearners, c.Learners)
	buf = appendIDs(buf, confVotersOutgoing, c.VotersOutgoing)
	buf = appendIDs(buf, confLearnersNext, c.LearnersNext)
	if c.AutoLeave != nil {
		buf = binary.AppendUvarint(append(buf, confAutoLeave), bit(*c.AutoLeave))
	}
	return appendEnd(buf)
}

func appendIDs(buf []byte, tag byte, ids []uint64) []byte {
	for _, id := range ids {
		buf = appendPresent(buf, tag, &id)
	}
	return buf
}

func (r *reader) confState() *raftpb.ConfState {
	out := new(raftpb.ConfState)
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case confVoters:
			out.Voters = append(out.Voters, r.uint())
		case confLearners:
			out.Learners = append(out.Learners, r.uint())
		case confVotersOutgoing:
			out.VotersOutgoing = append(out.VotersOutgoing, r.uint())
		case confLearnersNext:
			out.LearnersNext = append(out.LearnersNext, r.uint())
		case confAutoLeave:
			out.AutoLeave = new(r.bool())
		default:
			r.skip(tag)
		}
	}
	return out
}
