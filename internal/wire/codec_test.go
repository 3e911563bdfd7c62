package wire

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/miruvor/miruvor/internal/kv"
	"go.etcd.io/raft/v3/raftpb"
)

func mustRoundTrip(t *testing.T, m *Message) {
	t.Helper()
	encoded := AppendMessage(nil, m)
	got, rest, err := DecodeMessage(append(bytes.Clone(encoded), "rest"...))
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	if string(rest) != "rest" {
		t.Fatalf("rest is %q", rest)
	}
	if !same(*m, got) {
		t.Fatalf("sent\n%+v\ngot\n%+v", *m, got)
	}
	if hint := m.SizeHint(); hint < len(encoded) {
		t.Fatalf("size hint %d is below the %d bytes of %+v", hint, len(encoded), *m)
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	for seed := range uint64(3000) {
		for _, full := range []bool{false, true} {
			m := newGenerator(seed, full).message()
			mustRoundTrip(t, &m)
		}
	}
}

func TestSnapshotHeadersRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		h := newGenerator(seed, seed%2 == 0).header()
		encoded := AppendSnapshotHeader(nil, &h)
		got, err := DecodeSnapshotHeader(encoded)
		if err != nil || !same(h, got) {
			t.Fatalf("sent\n%+v\ngot\n%+v, %v", h, got, err)
		}
		if _, err := DecodeSnapshotHeader(append(encoded, 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("trailing byte: %v", err)
		}
	}
}

func TestHelloRoundTrips(t *testing.T) {
	in := Hello{
		Cluster: 1, To: 2, Purpose: ForSnapshot, Formats: Formats{Min: 3, Max: 4}, Origin: "o",
		Node: Node{ID: 5, Incarnation: 1 << 63, Name: "n", Peer: "p:1", Client: "c:2"},
	}
	got, err := DecodeHello(AppendHello(nil, &in))
	if err != nil || got != in {
		t.Fatalf("sent %+v, got %+v, %v", in, got, err)
	}
	node, err := DecodeNode(AppendNode(nil, &in.Node))
	if err != nil || node != in.Node {
		t.Fatalf("sent %+v, got %+v, %v", in.Node, node, err)
	}
	for _, junk := range [][]byte{nil, {0, 0}, {nodeName, 9, 0}} {
		if _, err := DecodeNode(junk); !errors.Is(err, ErrMalformed) {
			t.Errorf("node of %x: %v", junk, err)
		}
		if _, err := DecodeHello(junk); !errors.Is(err, ErrMalformed) {
			t.Errorf("hello of %x: %v", junk, err)
		}
	}
}

// Every truncation is refused: nothing is taken for a shorter message.
func TestTruncatedMessagesAreMalformed(t *testing.T) {
	for seed := range uint64(100) {
		m := newGenerator(seed, true).message()
		encoded := AppendMessage(nil, &m)
		for n := range len(encoded) {
			if _, _, err := DecodeMessage(encoded[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%d of %d bytes of %+v: %v", n, len(encoded), m, err)
			}
		}
	}
}

// Many elements with the largest numbers still take no more than SizeHint says.
func TestSizeHintOfLongLists(t *testing.T) {
	const count, most = 1000, 1<<64 - 1
	entry := &raftpb.Entry{
		Term: new(uint64(most)), Index: new(uint64(most)), Type: raftpb.EntryConfChangeV2.Enum(),
		Data: make([]byte, 200),
	}
	pair := kv.KeyValue{
		Key: make([]byte, 200), Value: make([]byte, 200),
		CreateRevision: -1, ModRevision: -1, Version: -1, Lease: -1,
	}
	read := &kv.RangeRequest{
		Range: kv.Range{Start: make([]byte, 200), End: make([]byte, 200)},
		Limit: -1, BytesMax: -1, Revision: -1,
		Serializable: true, KeysOnly: true, CountOnly: true, WantCount: true, Reverse: true,
	}
	app := &raftpb.Message{
		Type: raftpb.MsgApp.Enum(), Entries: slices.Repeat([]*raftpb.Entry{entry}, count),
	}
	ops := slices.Repeat([]kv.Op{{Range: read}}, count)
	pairs := &kv.RangeResponse{KVs: slices.Repeat([]kv.KeyValue{pair}, count)}
	results := slices.Repeat([]kv.Result{{Put: &kv.PutResponse{Prev: &pair, Version: -1}}}, count)
	range200 := read.Range
	event := FedEvent{Event: kv.Event{KV: pair, Prev: &pair, Deleted: true}, Sub: 1<<32 - 1}
	part := Part{Shard: 1<<32 - 1, Token: most, Effect: make([]byte, 200)}
	for _, m := range []Message{
		{Request: &Request{Gather: &Gather{Reads: slices.Repeat([]kv.RangeRequest{*read}, count)}}},
		{Request: &Request{Prepare: &Prepare{
			Locks:  slices.Repeat([]Lock{{Range: range200, Write: true}}, count),
			Leases: slices.Repeat([]kv.LeaseID{-1}, count),
		}}},
		{Request: &Request{Decide: &Decide{Others: slices.Repeat([]Part{part}, count)}}},
		{Response: &Response{Gathered: &Gathered{Parts: slices.Repeat([]GatheredPart{{
			Code: 255, Text: "text", Range: kv.RangeResponse{Revision: -1, More: true, Count: -1},
		}}, count)}}},
		{Response: &Response{Prepared: &Prepared{
			Missing: slices.Repeat([]kv.LeaseID{-1}, count),
		}}},
		{Response: &Response{Fed: &Fed{Events: slices.Repeat([]FedEvent{event}, count)}}},
		{Response: &Response{Lease: &LeaseResponse{
			Lease:  kv.Lease{Keys: slices.Repeat([][]byte{make([]byte, 200)}, count)},
			IDs:    slices.Repeat([]kv.LeaseID{-1}, count),
			Shards: slices.Repeat([]kv.ShardID{1<<32 - 1}, count),
		}}},
		{Raft: &Raft{Msg: app}},
		{Request: &Request{Txn: &kv.TxnRequest{Success: ops}}},
		{Response: &Response{Range: pairs}},
		{Response: &Response{Txn: &kv.TxnResponse{Results: results}}},
	} {
		mustRoundTrip(t, &m)
	}
}

func TestRangeEndKeepsNil(t *testing.T) {
	for _, end := range [][]byte{nil, {}, {0}} {
		q := kv.DeleteRequest{Range: kv.Range{End: end}}
		m := Message{Request: &Request{Txn: &kv.TxnRequest{Success: []kv.Op{{Delete: &q}}}}}
		got, _, err := DecodeMessage(AppendMessage(nil, &m))
		if err != nil {
			t.Fatal(err)
		}
		back := got.Request.Txn.Success[0].Delete.End
		if (back == nil) != (end == nil) || !bytes.Equal(back, end) {
			t.Errorf("end %#v came back as %#v", end, back)
		}
	}
}

func nestedTxn(depth int) *kv.TxnRequest {
	t := &kv.TxnRequest{}
	for range depth - 1 {
		t = &kv.TxnRequest{Failure: []kv.Op{{Txn: t}}}
	}
	return t
}

func TestTxnDepthIsBounded(t *testing.T) {
	ok := Message{Request: &Request{Txn: nestedTxn(kv.TxnDepthMax)}}
	mustRoundTrip(t, &ok)
	deep := Message{Request: &Request{Txn: nestedTxn(kv.TxnDepthMax + 1)}}
	if _, _, err := DecodeMessage(AppendMessage(nil, &deep)); !errors.Is(err, ErrMalformed) {
		t.Errorf("depth %d: %v", kv.TxnDepthMax+1, err)
	}
	// Depth is about nesting, not about how many there are.
	wide := make([]kv.Op, 3*kv.TxnDepthMax)
	for i := range wide {
		wide[i].Txn = nestedTxn(2)
	}
	mustRoundTrip(t, &Message{Request: &Request{Txn: &kv.TxnRequest{Success: wide}}})
}

func TestLocalRaftMessagesAreRefused(t *testing.T) {
	for value := range raftpb.MessageType_name {
		typ := raftpb.MessageType(value)
		m := Message{Raft: &Raft{Shard: 3, Msg: &raftpb.Message{Type: &typ}}}
		_, _, err := DecodeMessage(AppendMessage(nil, &m))
		if (err == nil) != Travels(typ) {
			t.Errorf("%v: travels %v, decode: %v", typ, Travels(typ), err)
		}
	}
	if Travels(raftpb.MsgProp) || Travels(raftpb.MsgSnap) || Travels(raftpb.MsgTransferLeader) {
		t.Error("a message travels that must not")
	}
}

// Fields of a later version are stepped over, whatever their kind.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := []byte{
		63<<2 | kindUint, 0x80, 0x01,
		63<<2 | kindBytes, 2, 0xff, 0xff,
		63<<2 | kindStruct, 5<<2 | kindStruct, 1 << 2, 7, tagEnd, tagEnd,
		63<<2 | kindList, 2, 1<<2 | kindUint, 7, tagEnd, tagEnd,
	}
	body := append([]byte{messageRequest}, unknown...)
	body = append(body, requestID, 9, requestTxn)
	body = append(body, unknown...)
	body = append(body, txnSuccess, 1)
	body = append(body, unknown...)
	body = append(body, opPut, putKey, 1, 'k')
	body = append(body, unknown...)
	body = append(body, tagEnd, tagEnd, tagEnd, tagEnd, tagEnd)
	m, rest, err := DecodeMessage(body)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%v, rest %x", err, rest)
	}
	put := kv.PutRequest{Key: []byte("k")}
	want := Message{Request: &Request{ID: 9, Txn: &kv.TxnRequest{Success: []kv.Op{{Put: &put}}}}}
	if !same(want, m) {
		t.Errorf("got %+v", m.Request)
	}
}

func TestMalformedMessages(t *testing.T) {
	overlong := bytes.Repeat([]byte{0x80}, 11)
	deep := append([]byte{messageRequest}, bytes.Repeat([]byte{63<<2 | kindStruct}, 40)...)
	raft := []byte{messageRaft, raftMsg, msgType, byte(raftpb.MsgApp), tagEnd, tagEnd}
	for name, data := range map[string][]byte{
		"empty":                  {},
		"nothing set":            {tagEnd},
		"two kinds":              append(raft, messageRequest, tagEnd, tagEnd),
		"raft without a message": {messageRaft, tagEnd, tagEnd},
		"unknown kind":           {9<<2 | kindStruct, tagEnd, tagEnd},
		"two requests": {
			messageRequest, requestOracle, tagEnd, requestTxn, tagEnd, tagEnd, tagEnd,
		},
		"operation of no kind": {
			messageRequest, requestTxn, txnSuccess, 1, 9<<2 | kindUint, 1,
			tagEnd, tagEnd, tagEnd, tagEnd,
		},
		"empty list": {
			messageRequest, requestTxn, txnSuccess, 0, tagEnd, tagEnd, tagEnd,
		},
		"shard over 32 bits": {
			messageRequest, requestShard, 0xff, 0xff, 0xff, 0xff, 0x7f, tagEnd, tagEnd,
		},
		"boolean 2": {
			messageRequest, requestRange, rangeAtRequest, rangeReverse, 2,
			tagEnd, tagEnd, tagEnd, tagEnd,
		},
		"target of no kind": {
			messageRequest, requestTxn, txnCompares, 1, compareTarget, 5,
			tagEnd, tagEnd, tagEnd, tagEnd,
		},
		"entry without an index": {
			messageRaft, raftMsg, msgType, 3, msgEntries, 1, entryTerm, 1, entryData, 0,
			tagEnd, tagEnd, tagEnd, tagEnd,
		},
		"state of no kind": {
			messageResponse, responseOutcome, outcomeState, 3, tagEnd, tagEnd, tagEnd,
		},
		"lease operation of no kind": {
			messageRequest, requestLease, leaseOp, byte(LeaseKeys) + 1, tagEnd, tagEnd, tagEnd,
		},
		"element below its least size": {
			messageRequest, requestPrepare, prepareLocks, 1, tagEnd, tagEnd, tagEnd, tagEnd,
		},
		"no numbers": {
			messageRequest, requestPrepare, prepareLeases, 0, tagEnd, tagEnd, tagEnd,
		},
		"half a number": {
			messageRequest, requestPrepare, prepareLeases, 2, 1, 0x80, tagEnd, tagEnd, tagEnd,
		},
		"shard over 32 bits in a list": {
			messageResponse, responseLease, leaseResponseShards, 5, 0xff, 0xff, 0xff, 0xff, 0x7f,
			tagEnd, tagEnd, tagEnd,
		},
		"two answers": {
			messageResponse, responseFed, tagEnd, responseClosed, tagEnd, tagEnd, tagEnd,
		},
		"two demands": {
			messageRequest, requestGather, tagEnd, requestFeed, tagEnd, tagEnd, tagEnd,
		},
		"overlong varint":    append([]byte{messageRequest, requestID}, overlong...),
		"unknown nests deep": append(deep, bytes.Repeat([]byte{tagEnd}, 42)...),
	} {
		if m, _, err := DecodeMessage(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// A request for something that a later version knows still has its ID.
func TestRequestOfUnknownKindCanBeAnswered(t *testing.T) {
	m, _, err := DecodeMessage([]byte{
		messageRequest, requestID, 5, 40<<2 | kindStruct, tagEnd, tagEnd, tagEnd,
	})
	if err != nil || m.Request.ID != 5 {
		t.Fatalf("%+v, %v", m, err)
	}
}

// What a decoder allocates is a small multiple of its input, also for input
// made to be costly.
func TestAllocationIsBounded(t *testing.T) {
	const inputBytes, factorMax = 1 << 20, 64
	costly := map[string]struct{ head, element []byte }{
		"entries": {
			[]byte{messageRaft, raftMsg, msgType, 3, msgEntries},
			[]byte{entryTerm, 1, entryIndex, 1, tagEnd},
		},
		"operations": {
			[]byte{messageRequest, requestTxn, txnSuccess}, []byte{opRange, tagEnd, tagEnd},
		},
		"compares": {
			[]byte{messageRequest, requestTxn, txnCompares}, []byte{compareTarget, 1, tagEnd},
		},
		"key-values": {
			[]byte{messageResponse, responseRange, rangeResponseKVs}, []byte{kvMod, 1, tagEnd},
		},
		"locks": {
			[]byte{messageRequest, requestPrepare, prepareLocks}, []byte{lockWrite, 1, tagEnd},
		},
		"gathered reads": {
			[]byte{messageRequest, requestGather, gatherReads},
			[]byte{gatherReadRange, tagEnd, tagEnd},
		},
		"gathered parts": {
			[]byte{messageResponse, responseGathered, gatheredParts},
			[]byte{gatheredPartRange, tagEnd, tagEnd},
		},
		"parts": {
			[]byte{messageRequest, requestDecide, decideOthers}, []byte{partShard, 1, tagEnd},
		},
		"events": {
			[]byte{messageResponse, responseFed, fedEvents},
			[]byte{fedEventKV, tagEnd, fedEventPrev, tagEnd, tagEnd},
		},
		"keys of a lease": {
			[]byte{messageResponse, responseLease, leaseResponseLease, leaseStateKeys},
			[]byte{tagEnd},
		},
		"numbers": {
			[]byte{messageRequest, requestPrepare, prepareLeases}, []byte{1},
		},
		"key-values of end marks": {
			[]byte{messageResponse, responseRange, rangeResponseKVs}, []byte{tagEnd},
		},
	}
	for name, c := range costly {
		for _, count := range []int{inputBytes / max(len(c.element), 3), inputBytes} {
			data := appendCount(bytes.Clone(c.head[:len(c.head)-1]), c.head[len(c.head)-1], count)
			data = append(data, bytes.Repeat(c.element, inputBytes/len(c.element))...)
			data = append(data, make([]byte, 16)...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := DecodeMessage(data)
			runtime.ReadMemStats(&after)
			factor := float64(after.TotalAlloc-before.TotalAlloc) / inputBytes
			t.Logf("%d %s: %.0f bytes allocated a byte of input (%v)", count, name, factor, err)
			if factor > factorMax {
				t.Errorf("%s: %.0f times the input is more than %d", name, factor, factorMax)
			}
		}
	}
}
