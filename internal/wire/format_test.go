package wire

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/miruvor/miruvor/internal/kv"
	"go.etcd.io/raft/v3/raftpb"
)

const formatDoc = "../../docs/wire-format.md"

var (
	fieldInCode = regexp.MustCompile(`(?m)^\s+(\w+)\s+= (\d+)<<2 \| kind(\w+)`)
	fieldInDoc  = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\d+) \\| (\\w+) \\|")
)

// The tables of docs/wire-format.md list the fields that the code has, with
// their numbers and kinds.
func TestFormatIsDocumented(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := []string{}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			code = append(code, fieldsIn(t, file, fieldInCode)...)
		}
	}
	doc := fieldsIn(t, formatDoc, fieldInDoc)
	for _, field := range code {
		if !slices.Contains(doc, field) {
			t.Errorf("%s is not in %s", field, formatDoc)
		}
	}
	for _, field := range doc {
		if !slices.Contains(code, field) {
			t.Errorf("%s is not in the code", field)
		}
	}
}

// fieldsIn lists the fields of a file as "name number kind".
func fieldsIn(t *testing.T, file string, pattern *regexp.Regexp) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
		fields = append(fields, m[1]+" "+m[2]+" "+strings.ToLower(m[3]))
	}
	return fields
}

// samples are messages whose bytes are written down in testdata/bytes.txt,
// so that a change of the format does not go unnoticed.
var samples = map[string]Message{
	"heartbeat": {Raft: &Raft{
		Shard: 300, Stamp: 5, Closed: 7, ClosedIndex: 6, Allocated: 8,
		Msg: &raftpb.Message{
			Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2)), From: new(uint64(1)),
			Term: new(uint64(3)), Commit: new(uint64(0)), Context: []byte("ctx"),
		},
	}},
	"append": {Raft: &Raft{Shard: 1, Msg: &raftpb.Message{
		Type: raftpb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)),
		Term: new(uint64(3)), LogTerm: new(uint64(3)), Index: new(uint64(9)),
		Entries: []*raftpb.Entry{
			{Term: new(uint64(3)), Index: new(uint64(10)), Data: []byte("data")},
			{Term: new(uint64(3)), Index: new(uint64(11)), Type: raftpb.EntryConfChangeV2.Enum()},
		},
	}}},
	"txn": {Request: &Request{ID: 1 << 57, Shard: 1, Txn: &kv.TxnRequest{
		Compares: []kv.Compare{{Key: []byte("k"), Target: kv.CompareMod, Number: -1}},
		Success:  []kv.Op{{Put: &kv.PutRequest{Key: []byte("k"), Value: []byte{}, PrevKV: true}}},
		Failure: []kv.Op{
			{Range: &kv.RangeRequest{Range: kv.Range{Start: []byte("k")}, Limit: 1}},
			{Delete: &kv.DeleteRequest{Range: kv.Range{Start: []byte("k"), End: []byte{}}}},
		},
	}}},
	"answer": {Response: &Response{ID: 9, Range: &kv.RangeResponse{
		Revision: 4, More: true, KVs: []kv.KeyValue{
			{Key: []byte("k"), Value: []byte("v"), CreateRevision: 2, ModRevision: 3, Version: 2},
		},
	}}},
	"refused": {Response: &Response{ID: 9, Code: CodeNotLeader, Leader: 3}},
	"prepare": {Request: &Request{ID: 9, Shard: 2, Prepare: &Prepare{
		Txn: TxnID{Node: 3, Seq: 4}, Primary: 1, Leases: []kv.LeaseID{7, -1},
		Locks: []Lock{
			{Range: kv.Range{Start: []byte("a"), End: []byte{}}},
			{Range: kv.Range{Start: []byte("b")}, Write: true},
		},
		Gather: Gather{Reads: []kv.RangeRequest{{Range: kv.Range{Start: []byte("a")}}}},
		Wait:   true,
	}}},
	"prepared": {Response: &Response{ID: 9, Prepared: &Prepared{
		Token: 5, Missing: []kv.LeaseID{300},
		Gathered: Gathered{Parts: []GatheredPart{{Code: CodeCompacted, Text: "t"}}},
	}}},
	"decide": {Request: &Request{ID: 9, Shard: 1, Decide: &Decide{
		Txn: TxnID{Node: 3, Seq: 4}, Token: 5, Revision: 6, Effect: []byte("e"),
		Others: []Part{{Shard: 2, Token: 7, Effect: []byte("f")}, {}},
	}}},
	"resolve": {Request: &Request{ID: 9, Shard: 2, Resolve: &Resolve{
		Txn: TxnID{Node: 3, Seq: 4}, Token: 7, Commit: true, Revision: 6, Effect: []byte("f"),
	}}},
	"settle": {Request: &Request{ID: 9, Shard: 1, Settle: &Settle{
		Txn: TxnID{Node: 3, Seq: 4}, Shard: 2,
	}}},
	"outcome": {Response: &Response{ID: 9, Outcome: &Outcome{
		State: OutcomeCommitted, Revision: 6, Part: &Part{Shard: 2, Effect: []byte("f")},
	}}},
	"feed": {Request: &Request{ID: 9, Shard: 1, Feed: &Feed{
		Feed: 1, After: 2, Want: 3, Keys: kv.Range{Start: []byte("a"), End: []byte("b")},
		PrevKV: true, BytesMax: 4,
	}}},
	"fed": {Response: &Response{ID: 9, Fed: &Fed{UpTo: 3, Events: []FedEvent{
		{Event: kv.Event{Deleted: true, Prev: new(kv.KeyValue)}, Sub: 1},
	}}}},
	"close":  {Request: &Request{ID: 9, Shard: 1, Close: &Close{Revision: 3}}},
	"closed": {Response: &Response{ID: 9, Closed: &Closed{Revision: 3, Index: 4}}},
	"lease": {Request: &Request{ID: 9, Lease: &Lease{
		Op: LeaseAttach, ID: 1, TTL: 2, Shard: 3,
	}}},
	"leases": {Response: &Response{ID: 9, Lease: &LeaseResponse{
		Lease: kv.Lease{
			ID: 1, TTL: -1, Granted: 3, Revision: 4, Keys: [][]byte{nil, {}, []byte("k")},
		},
		IDs: []kv.LeaseID{1, 128}, Shards: []kv.ShardID{0, 1},
	}}},
	"compact": {Request: &Request{ID: 9, Upkeep: Upkeep{Compact: &Compact{Revision: 3}}}},
	"compacted": {Response: &Response{ID: 9, UpkeepResponse: UpkeepResponse{
		Compacted: &Compacted{Floor: 3, Current: 4},
	}}},
	"alarm": {Request: &Request{ID: 9, Upkeep: Upkeep{Alarm: &Alarm{
		Op: AlarmClear, Alarm: kv.Alarm{Node: 3, Kind: kv.AlarmNoSpace},
	}}}},
	"alarms": {Response: &Response{ID: 9, UpkeepResponse: UpkeepResponse{Alarms: &Alarms{
		Changed: true, Index: 300, Term: 4,
		Raised: []kv.Alarm{{Node: 3, Kind: kv.AlarmNoSpace}, {}},
	}}}},
	"greeting": {Greeting: &Greeting{
		Node: Node{ID: 1, Incarnation: 2, Name: "n1", Peer: "p:1", Client: "c:2"},
		Role: RoleFounder, Reply: true, Known: 7,
	}},
}

func TestBytes(t *testing.T) {
	datadriven.RunTest(t, "testdata/bytes.txt", func(t *testing.T, d *datadriven.TestData) string {
		m, ok := samples[d.Cmd]
		if !ok {
			d.Fatalf(t, "no sample is called %s", d.Cmd)
		}
		mustRoundTrip(t, &m)
		return fmt.Sprintln(hex.EncodeToString(AppendMessage(nil, &m)))
	})
}
