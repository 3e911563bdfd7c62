package etcdapi

import (
	"bytes"
	"math"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/miruvor/miruvor/internal/kv"
)

// requests are those that the codec decodes by hand, with every field set, and
// with every field at its end.
func requests() []proto.Message {
	all := &pb.RangeRequest{
		Key: []byte("k"), RangeEnd: []byte("l"), Limit: 7, Revision: 300,
		SortOrder: pb.RangeRequest_DESCEND, SortTarget: pb.RangeRequest_VALUE,
		Serializable: true, KeysOnly: true, CountOnly: true,
		MinModRevision: 1, MaxModRevision: 1 << 40, MinCreateRevision: 3, MaxCreateRevision: 4,
	}
	put := &pb.PutRequest{
		Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 300), Lease: -9,
		PrevKv: true, IgnoreValue: true, IgnoreLease: true,
	}
	del := &pb.DeleteRangeRequest{Key: []byte("k"), RangeEnd: []byte{0}, PrevKv: true}
	return []proto.Message{
		all, put, &pb.PutRequest{}, &pb.RangeRequest{Key: []byte("k")},
		&pb.RangeRequest{Limit: math.MinInt64, SortOrder: -1, SortTarget: 99},
		&pb.TxnRequest{},
		&pb.TxnRequest{
			Compare: []*pb.Compare{
				{Key: []byte("a"), TargetUnion: &pb.Compare_Version{Version: 1}},
				{
					Key: []byte("a"), RangeEnd: []byte("b"), Result: pb.Compare_LESS,
					Target:      pb.Compare_VALUE,
					TargetUnion: &pb.Compare_Value{Value: []byte("v")},
				},
				{TargetUnion: &pb.Compare_CreateRevision{CreateRevision: -1}},
				{TargetUnion: &pb.Compare_ModRevision{ModRevision: 1}},
				{TargetUnion: &pb.Compare_Lease{}},
			},
			Success: []*pb.RequestOp{
				{Request: &pb.RequestOp_RequestPut{RequestPut: put}},
				{Request: &pb.RequestOp_RequestRange{RequestRange: all}},
			},
			Failure: []*pb.RequestOp{
				{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: del}},
				{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{}}},
			},
		},
		&pb.TxnRequest{Success: []*pb.RequestOp{{}, {
			Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{
				Failure: []*pb.RequestOp{
					{Request: &pb.RequestOp_RequestPut{RequestPut: put}},
				},
			}},
		}}},
	}
}

// TestShortWays: the messages that clients send are decoded by hand, but for
// transactions in others, and operations that are empty.
func TestShortWays(t *testing.T) {
	all := requests()
	for i, m := range all {
		data := encoded(t, m)
		known := false
		switch m.(type) {
		case *pb.RangeRequest:
			known = decodeRange(own(data), new(pb.RangeRequest))
		case *pb.PutRequest:
			known = decodePut(own(data), new(pb.PutRequest))
		case *pb.TxnRequest:
			known = decodeTxn(own(data), new(pb.TxnRequest))
		}
		if want := i < len(all)-1; known != want {
			t.Errorf("request %d is decoded by hand: %v", i, known)
		}
	}
}

// FuzzCodec: whatever the bytes are, the codec makes of them what protobuf does.
func FuzzCodec(f *testing.F) {
	for _, m := range requests() {
		f.Add(encoded(f, m))
	}
	f.Add([]byte{0x0a, 0x05, 'k'})                               // cut off
	f.Add([]byte{0x0a, 0x01, 'k', 0x0a, 0x01, 'l'})              // twice
	f.Add([]byte{0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})      // long number
	f.Add([]byte{0x12, 0x04, 0x12, 0x00, 0x12, 0x00, 0x7a, 0})   // an operation twice
	f.Add([]byte{0x12, 0x04, 0x12, 0x00, 0x0a, 0x00, 0x82, 0o4}) // two requests in one
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, fresh := range []func() proto.Message{
			func() proto.Message { return new(pb.RangeRequest) },
			func() proto.Message { return new(pb.PutRequest) },
			func() proto.Message { return new(pb.TxnRequest) },
		} {
			got, want := fresh(), fresh()
			received := bytes.Clone(data)
			err := codec{}.Unmarshal(received, got)
			wantErr := proto.Unmarshal(data, want)
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%T of %x: %v, protobuf says %v", got, data, err, wantErr)
			}
			if err == nil && !proto.Equal(got, want) {
				t.Fatalf("%x is %v, protobuf says %v", data, got, want)
			}
			// What a handler does with the room behind a key stays in the copy.
			if r, ok := got.(*pb.RangeRequest); ok && err == nil {
				end := bytes.Clone(r.RangeEnd)
				keyRange(r.Key, nil)
				if !bytes.Equal(r.RangeEnd, end) {
					t.Fatalf("%x: a key's successor changes the end", data)
				}
			}
			if !bytes.Equal(received, data) {
				t.Fatal("the data was changed")
			}
			// The server has the next message come into the same memory.
			for i := range received {
				received[i] ^= 0xff
			}
			if err == nil && !proto.Equal(got, want) {
				t.Fatalf("%x: the request shares memory with the server", data)
			}
		}
	})
}

// TestReplies: answers are encoded as protobuf encodes etcd's messages of them.
func TestReplies(t *testing.T) {
	h := heading{kv.Standing{Cluster: 1 << 60, Node: 3, Term: 200}, 1 << 41}
	header := &pb.ResponseHeader{
		ClusterId: 1 << 60, MemberId: 3, RaftTerm: 200, Revision: 1 << 41,
	}
	full := kv.KeyValue{
		Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 20_000), CreateRevision: 5,
		ModRevision: 1 << 40, Version: 3, Lease: 7,
	}
	pairs := []kv.KeyValue{full, {}, {Key: []byte("l"), Version: 1}}
	kvs := []*mvccpb.KeyValue{keyValue(&pairs[0]), keyValue(&pairs[1]), keyValue(&pairs[2])}
	read := kv.RangeResponse{Revision: 1 << 41, KVs: pairs, More: true, Count: 12345}
	wantRead := &pb.RangeResponse{Header: header, Kvs: kvs, More: true, Count: 12345}
	bare := &pb.ResponseHeader{}
	for name, test := range map[string]struct {
		reply reply
		want  proto.Message
	}{
		"nothing":  {&rangeReply{}, &pb.RangeResponse{Header: bare}},
		"range":    {&rangeReply{heading: h, read: read}, wantRead},
		"put":      {&putReply{heading: h}, &pb.PutResponse{Header: header}},
		"put over": {&putReply{prev: &full}, &pb.PutResponse{Header: bare, PrevKv: kvs[0]}},
		"compact":  {h, &pb.CompactionResponse{Header: header}},
		"delete": {
			&deleteReply{deleted: kv.DeleteResponse{Deleted: 9, Prev: pairs}},
			&pb.DeleteRangeResponse{Header: bare, Deleted: 9, PrevKvs: kvs},
		},
		"chunk": {
			&chunkReply{read: kv.RangeResponse{KVs: pairs}},
			&pb.RangeStreamResponse{RangeResponse: &pb.RangeResponse{Kvs: kvs}},
		},
		"last chunk": {
			&chunkReply{heading: &h, read: read},
			&pb.RangeStreamResponse{RangeResponse: wantRead},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := encoded(t, test.want)
			got, err := codec{}.Append([]byte("before"), test.reply)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("%x, protobuf says %x", got, want)
			}
		})
	}
}

// TestTxnReply is the same for transactions, whose answers hold others.
func TestTxnReply(t *testing.T) {
	pair := kv.KeyValue{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 300), Version: 1}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: pair.Key},
	}}
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{}}}
	read := func() *kv.RangeResponse { return &kv.RangeResponse{KVs: []kv.KeyValue{pair}} }
	r := &txnReply{
		heading: heading{revision: 9},
		request: &pb.TxnRequest{Success: []*pb.RequestOp{get, {
			Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{
				Failure: []*pb.RequestOp{put, get},
			}},
		}}},
		resp: kv.TxnResponse{Revision: 9, Succeeded: true, Results: []kv.Result{
			{Range: read()},
			{Txn: &kv.TxnResponse{Results: []kv.Result{
				{Put: &kv.PutResponse{Prev: &pair}}, {Range: read()},
			}}},
		}},
	}
	told := func(rev int64) *pb.ResponseOp {
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{
			ResponseRange: &pb.RangeResponse{
				Header: &pb.ResponseHeader{Revision: rev},
				Kvs:    []*mvccpb.KeyValue{keyValue(&pair)}, Count: 1,
			},
		}}
	}
	want := &pb.TxnResponse{
		Header: &pb.ResponseHeader{Revision: 9}, Succeeded: true,
		Responses: []*pb.ResponseOp{told(8), {Response: &pb.ResponseOp_ResponseTxn{
			ResponseTxn: &pb.TxnResponse{
				Header: &pb.ResponseHeader{},
				Responses: []*pb.ResponseOp{
					{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{
						Header: &pb.ResponseHeader{Revision: 9}, PrevKv: keyValue(&pair),
					}}},
					told(9),
				},
			},
		}}},
	}
	if got := r.append(nil); !bytes.Equal(got, encoded(t, want)) {
		t.Errorf("%x, protobuf says %x", got, encoded(t, want))
	}
}

func encoded(t testing.TB, m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
