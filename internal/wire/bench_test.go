package wire

import (
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// bigAppend is a MsgApp of 64 entries of 200 bytes.
func bigAppend() *raftpb.Message {
	m := &raftpb.Message{
		Type: raftpb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(7)),
		LogTerm: new(uint64(7)), Index: new(uint64(100_000)), Commit: new(uint64(99_990)),
	}
	for i := range uint64(64) {
		m.Entries = append(m.Entries, &raftpb.Entry{
			Term: new(uint64(7)), Index: new(100_001 + i), Data: make([]byte, 200),
		})
	}
	return m
}

func BenchmarkMsgApp(b *testing.B) {
	msg := bigAppend()
	m := Message{Raft: &Raft{Shard: 3, Msg: msg}}
	encoded := AppendMessage(nil, &m)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 2*len(encoded))
		for b.Loop() {
			buf = AppendMessage(buf[:0], &m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := DecodeMessage(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	protobuf, err := proto.Marshal(msg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode-protobuf", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 2*len(protobuf))
		for b.Loop() {
			if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode-protobuf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(protobuf, new(raftpb.Message)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPutRequest(b *testing.B) {
	put := kv.PutRequest{Key: make([]byte, 24), Value: make([]byte, 100)}
	txn := &kv.TxnRequest{Success: []kv.Op{{Put: &put}}}
	m := Message{Request: &Request{ID: 1 << 57, Shard: 3, Txn: txn}}
	encoded := AppendMessage(nil, &m)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 512)
		for b.Loop() {
			buf = AppendMessage(buf[:0], &m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := DecodeMessage(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkHeartbeat(b *testing.B) {
	m := Message{Raft: &Raft{
		Shard: 3, Stamp: 1 << 50, Closed: 1 << 30, ClosedIndex: 1 << 20,
		Msg: &raftpb.Message{
			Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2)), From: new(uint64(1)),
			Term: new(uint64(7)), Commit: new(uint64(1 << 20)),
		},
	}}
	encoded := AppendMessage(nil, &m)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 512)
		for b.Loop() {
			buf = AppendMessage(buf[:0], &m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := DecodeMessage(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
