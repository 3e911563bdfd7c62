package worker

import (
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// peerRequests are one of each kind that a peer sends.
func peerRequests() []wire.Request {
	key := kv.PointRange([]byte("a"))
	all := kv.Range{Start: []byte("a"), End: []byte("f")}
	txn := wire.TxnID{Node: 2, Seq: 9}
	effect := mvcc.AppendPart(nil, &mvcc.Part{
		Writes: []mvcc.Write{{Key: key.Start, Create: 9, Version: 1, Value: []byte("v")}},
		Subs:   []uint32{0},
	})
	reads := []kv.RangeRequest{{Range: key, KeysOnly: true}, {Range: all, Revision: 2}}
	return []wire.Request{
		{Shard: 1, Txn: &kv.TxnRequest{
			Compares: []kv.Compare{{Key: key.Start, RangeEnd: []byte("c"), Target: kv.CompareMod}},
			Success: []kv.Op{
				{Put: &kv.PutRequest{Key: key.Start, Lease: 7, PrevKV: true}}, {Range: &reads[1]},
			},
			Failure: []kv.Op{{Delete: &kv.DeleteRequest{Range: all}}},
		}},
		{Shard: 1, Range: &wire.RangeAt{
			RangeRequest: kv.RangeRequest{Range: all, Limit: 1}, At: 3,
		}},
		{Shard: 2, Range: &wire.RangeAt{RangeRequest: kv.RangeRequest{Serializable: true}}},
		{Shard: 0, Oracle: &wire.OracleRequest{Count: 3}},
		{Shard: 1, Gather: &wire.Gather{Reads: reads, At: 3}},
		{Shard: 1, Prepare: &wire.Prepare{
			Txn: txn, Primary: 1, Gather: wire.Gather{Reads: reads}, Leases: []kv.LeaseID{7},
			Locks: []wire.Lock{{Range: key, Write: true}, {Range: all}},
		}},
		{Shard: 1, Decide: &wire.Decide{
			Txn: txn, Token: 3, Revision: 9, Effect: effect,
			Others: []wire.Part{{Shard: 2, Token: 4, Effect: effect}},
		}},
		{Shard: 1, Resolve: &wire.Resolve{
			Txn: txn, Token: 3, Commit: true, Revision: 9, Effect: effect,
		}},
		{Shard: 1, Settle: &wire.Settle{Txn: txn, Shard: 2}},
		{Shard: 1, Feed: &wire.Feed{After: 1}},
		{Shard: 1, Close: &wire.Close{Revision: 5}},
		{Shard: 0, Lease: &wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 5}},
		{Shard: 1, Lease: &wire.Lease{Op: wire.LeaseClose, ID: 7, Life: 1}},
		{Shard: 0, Upkeep: wire.Upkeep{Map: &wire.MapRequest{}}},
		{Shard: 0, Upkeep: wire.Upkeep{Compact: &wire.Compact{Revision: 2}}},
		{Shard: 0, Upkeep: wire.Upkeep{Alarm: &wire.Alarm{
			Op: wire.AlarmRaise, Alarm: kv.Alarm{Node: 1, Kind: kv.AlarmCorrupt},
		}}},
	}
}

// holdBy gives a request that ends a transaction the token by which it is prepared, in
// place of the one of peerRequests.
func holdBy(req *wire.Request, token uint64) {
	if d := req.Decide; d != nil && d.Token == 3 {
		d.Token = token
	}
	if r := req.Resolve; r != nil && r.Token == 3 {
		r.Token = token
	}
}

// FuzzPeerRequests has a peer send any requests to the leader of all shards. The leader
// answers each, once, or goes on without; it never gives up.
func FuzzPeerRequests(f *testing.F) {
	var all []byte
	for i := range peerRequests() {
		req := &peerRequests()[i]
		req.ID = uint64(i + 1)
		data := wire.AppendMessage(nil, &wire.Message{Request: req})
		f.Add(data)
		all = append(all, data...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newScene(t, 1, placement.Layout{
			Nodes: []kv.NodeID{1}, Shards: 2, SplitAt: [][]byte{[]byte("m")}, Replicas: 1,
		})
		defer s.close()
		answered, token := map[uint64]int{}, uint64(0)
		s.network = func(snd *replica.Send) {
			if resp := snd.Message.Response; resp != nil {
				answered[resp.ID]++
				if resp.Prepared != nil {
					token = resp.Prepared.Token
				}
			}
			// What goes out is read by others.
			if _, _, err := wire.DecodeMessage(wire.AppendMessage(nil, &snd.Message)); err != nil {
				t.Fatalf("%+v: %v", snd.Message, err)
			}
		}
		s.submit(put("a"))
		for range 8 {
			m, rest, err := wire.DecodeMessage(data)
			if err != nil || m.Request == nil {
				break
			}
			holdBy(m.Request, token)
			s.worker.Receive(s.now, 2, m)
			s.pass()
			data = rest
		}
		s.wait(12 * time.Second)
		for id, times := range answered {
			if times > 8 {
				t.Errorf("request %d is answered %d times", id, times)
			}
		}
		s.submit(put(fmt.Sprintf("z%d", len(answered))))
		s.wait(6 * time.Second)
	})
}
