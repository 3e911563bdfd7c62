package load

import (
	"bytes"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// TestRequestsAreEtcds: what is written by hand is what etcd's types say.
func TestRequestsAreEtcds(t *testing.T) {
	key, end, value := []byte("key"), []byte("kez"), bytes.Repeat([]byte("v"), 300)
	exists := &pb.Compare{
		Result:      pb.Compare_GREATER,
		Target:      pb.Compare_CREATE,
		Key:         key,
		TargetUnion: &pb.Compare_CreateRevision{CreateRevision: 0},
	}
	put := &pb.PutRequest{Key: key, Value: value}
	watch := &pb.WatchCreateRequest{Key: key, RangeEnd: end, WatchId: 300}
	for name, c := range map[string]struct {
		got  []byte
		into proto.Message
		want proto.Message
	}{
		"put": {encode(Request{Kind: Put, Key: key, Value: value}), &pb.PutRequest{}, put},
		"get": {
			encode(Request{Kind: Get, Key: key}), &pb.RangeRequest{},
			&pb.RangeRequest{Key: key},
		},
		"range": {
			encode(Request{Kind: Range, Key: key, End: end, Serializable: true}),
			&pb.RangeRequest{},
			&pb.RangeRequest{Key: key, RangeEnd: end, Serializable: true},
		},
		"txn": {
			encode(Request{Kind: Txn, Key: key, Value: value}), &pb.TxnRequest{},
			&pb.TxnRequest{
				Compare: []*pb.Compare{exists},
				Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: put}}},
			},
		},
		"watch": {
			encodeWatch(key, end, 300), &pb.WatchRequest{},
			&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: watch}},
		},
	} {
		if err := proto.Unmarshal(c.got, c.into); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !proto.Equal(c.into, c.want) {
			t.Errorf("%s: %v, want %v", name, c.into, c.want)
		}
	}
}

func encode(r Request) []byte { return r.encode(nil) }

func TestTransactionsOfLargeValues(t *testing.T) {
	r := Request{Kind: Txn, Key: []byte("k"), Value: make([]byte, 100_000)}
	var got pb.TxnRequest
	if err := proto.Unmarshal(r.encode(nil), &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Success[0].GetRequestPut().Value); n != 100_000 {
		t.Errorf("value of %d bytes", n)
	}
}

func TestAnswersAreEtcds(t *testing.T) {
	header := &pb.ResponseHeader{ClusterId: 1 << 63, MemberId: 1 << 62, Revision: 1 << 40}
	pairs := []*mvccpb.KeyValue{
		{Key: []byte("first"), Value: []byte("v"), ModRevision: 3, CreateRevision: 2, Version: 7},
		{Key: []byte("second"), Value: make([]byte, 1000), Lease: -1},
	}
	for name, c := range map[string]struct {
		kind Kind
		from proto.Message
		want Answer
	}{
		"put": {
			Put, &pb.PutResponse{Header: header, PrevKv: pairs[0]},
			Answer{Revision: 1 << 40},
		},
		"range": {
			Range, &pb.RangeResponse{Header: header, Kvs: pairs, More: true, Count: 2},
			Answer{Revision: 1 << 40, Keys: 2, FirstKey: []byte("first")},
		},
		"nothing": {Get, &pb.RangeResponse{Header: header}, Answer{Revision: 1 << 40}},
		"txn": {
			Txn, &pb.TxnResponse{Header: header, Succeeded: true},
			Answer{Revision: 1 << 40, Succeeded: true},
		},
		"failed txn": {Txn, &pb.TxnResponse{Header: header}, Answer{Revision: 1 << 40}},
	} {
		message, err := proto.Marshal(c.from)
		if err != nil {
			t.Fatal(err)
		}
		var got Answer
		if err := got.decode(c.kind, message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func equal(a, b Answer) bool {
	return a.Revision == b.Revision && a.Keys == b.Keys && a.Succeeded == b.Succeeded &&
		bytes.Equal(a.FirstKey, b.FirstKey)
}

func TestWatchAnswersAreEtcds(t *testing.T) {
	value := []byte{0, 0, 0, 0, 0, 0, 1, 2, 'v'}
	event := &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte("k"), Value: value, ModRevision: 5}}
	message, err := proto.Marshal(&pb.WatchResponse{
		Header:  &pb.ResponseHeader{Revision: 5},
		WatchId: 77,
		Created: true,
		Events:  []*mvccpb.Event{event, event},
	})
	if err != nil {
		t.Fatal(err)
	}
	var a watchAnswer
	if err := a.decode(message); err != nil {
		t.Fatal(err)
	}
	if a.watchID != 77 || !a.created || a.canceled || len(a.events) != 2 {
		t.Errorf("%+v", a)
	}
	if number, err := sequenceOf(a.events[1]); err != nil || number != 258 {
		t.Errorf("put %d, %v", number, err)
	}
	if _, err := sequenceOf([]byte{}); err == nil {
		t.Error("an event without a value tells of a put")
	}
}

// FuzzDecode: what etcd's types refuse may be accepted, as not all is looked at; what they accept
// is read as they read it.
func FuzzDecode(f *testing.F) {
	header := &pb.ResponseHeader{Revision: 300}
	pairs := []*mvccpb.KeyValue{{Key: []byte("k"), Value: []byte("v")}}
	seed, err := proto.Marshal(&pb.RangeResponse{Header: header, Kvs: pairs, Count: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x05, 0x18})
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, in []byte) {
		var got Answer
		failed := got.decode(Range, in)
		var watched watchAnswer
		if watched.decode(in) == nil {
			for _, event := range watched.events {
				_, _ = sequenceOf(event)
			}
		}
		var want pb.RangeResponse
		if failed != nil || proto.Unmarshal(in, &want) != nil {
			return
		}
		if got.Keys != len(want.Kvs) {
			t.Fatalf("%d keys, want %d", got.Keys, len(want.Kvs))
		}
	})
}
