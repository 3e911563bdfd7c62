package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// elsewhere is a cluster whose shards are all on other nodes than 4.
var elsewhere = placement.Layout{Nodes: []kv.NodeID{1, 2, 3}, Shards: 1, Replicas: 3}

func put(key string) Request {
	return Request{Txn: &kv.TxnRequest{Success: []kv.Op{
		{Put: &kv.PutRequest{Key: []byte(key), Value: []byte("v")}},
	}}}
}

// An answer to the node's earlier life may arrive after a restart. It answers
// nothing of this one.
func TestAnswersToAnEarlierLife(t *testing.T) {
	s := newScene(t, 4, elsewhere)
	defer s.close()
	s.submit(put("a"))
	earlier := wire.Response{ID: s.asked[0].Message.Request.ID, Txn: &kv.TxnResponse{Revision: 7}}

	s.now += wire.Instant(time.Second)
	m, err := elsewhere.Build()
	s.must(err)
	s.open(m)
	s.submit(put("b"))
	s.events = nil
	s.worker.Receive(s.now, 1, wire.Message{Response: &earlier})
	s.pass()
	if len(s.events) > 0 {
		t.Errorf("the second life takes an answer to the first: %q", s.events)
	}
}

// While nobody knows the leader of the system shard, all its nodes are asked in
// turn: one that is down must not keep this one from the oracle.
func TestTheOracleIsSoughtEverywhere(t *testing.T) {
	s := newScene(t, 4, placement.Layout{
		Nodes: []kv.NodeID{1, 2, 3}, Shards: 2, SplitAt: [][]byte{[]byte("m")}, Replicas: 3,
	})
	defer s.close()
	s.submit(Request{
		Range:    &kv.RangeRequest{Range: kv.Range{Start: []byte("a")}},
		Deadline: s.now + wire.Instant(time.Minute),
	})
	asked := map[string]bool{}
	for try := range 60 {
		s.worker.Lost(s.now, &s.asked[len(s.asked)-1].Message)
		s.events = nil
		s.wait(150 * time.Millisecond)
		for _, e := range s.events {
			if try >= 30 { // the pause between tries is as long as it gets
				asked[strings.Fields(e)[1]] = true
			}
		}
	}
	if len(asked) != 3 {
		t.Errorf("only these are asked: %v", asked)
	}
}

// alone is a cluster of one node with two shards.
var alone = placement.Layout{
	Nodes: []kv.NodeID{1}, Shards: 2, SplitAt: [][]byte{[]byte("m")}, Replicas: 1,
}

// A shard that could not close a revision when it heard of it does so later, even
// if the cluster is idle from then on.
func TestIdleShardsClose(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	s.submit(put("a"))
	s.slow = true // shard 1 has a write in flight when shard 2 writes
	s.submit(put("b"))
	s.submit(put("z"))
	s.wait(time.Second)
	s.slow = false
	s.pass()
	s.wait(time.Second)
	last := s.worker.office.oracle.Last()
	for _, shard := range []kv.ShardID{1, 2} {
		if closed := s.worker.Replica(shard).Closed(); closed != last {
			t.Errorf("shard %v has closed %v, the last revision is %v", shard, closed, last)
		}
	}
}

// A request for revisions that nobody waits for any more takes none: what it
// took would be a gap.
func TestForgottenErrandsTakeNothing(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	ask := wire.Message{Request: &wire.Request{
		ID: 77, Oracle: &wire.OracleRequest{Count: 5000}, // more than the mark allows
	}}
	s.slow = true
	s.worker.Receive(s.now, 2, ask)
	s.pass()
	s.wait(time.Second)
	before := s.worker.office.oracle.Last()
	s.events, s.slow = nil, false
	s.pass()
	s.wait(100 * time.Millisecond)
	if last := s.worker.office.oracle.Last(); last != before || len(s.events) > 0 {
		t.Errorf("the oracle went from %v to %v: %q", before, last, s.events)
	}
}

// A request for the shard map that is never answered does not keep the worker from
// asking again.
func TestTheMapIsAskedForAgain(t *testing.T) {
	s := newScene(t, 4, elsewhere)
	defer s.close()
	s.submit(put("a"))
	for range 40 {
		if last := len(s.asked); s.asked[last-1].Message.Request.Txn != nil {
			s.answer(last, wire.Response{Code: wire.CodeWrongShard})
		}
		s.wait(100 * time.Millisecond)
	}
	maps := 0
	for _, snd := range s.asked {
		if snd.Message.Request.Map != nil {
			maps++
		}
	}
	if maps < 3 {
		t.Errorf("the map was asked for %d times", maps)
	}
}

// What waits for a leader that does not answer is bounded in bytes, too.
func TestCallsAreBoundedInBytes(t *testing.T) {
	s := newScene(t, 4, elsewhere)
	defer s.close()
	large := put("a")
	large.Txn.Success[0].Put.Value = make([]byte, 1<<20)
	for range callsBytesMax>>20 - 1 {
		s.submit(large)
	}
	s.events = nil
	s.submit(large)
	s.submit(put("b"))
	if len(s.events) != 2 || !strings.Contains(s.events[0], "too many requests") {
		t.Errorf("one more: %q", s.events)
	}
	s.wait(6 * time.Second)
	if s.worker.calls.bytes != 0 {
		t.Errorf("%d bytes are left", s.worker.calls.bytes)
	}
}
