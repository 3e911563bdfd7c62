package worker

import (
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

// outsider is a node without replicas that asks a trio.
type outsider struct {
	all     trio
	answers map[uint64]*wire.Response
	lastID  uint64
}

const outsiderID kv.NodeID = 9

// belowM are the keys of the first of two shards.
var belowM = kv.Range{End: []byte("m")}

func newOutsider(all trio) *outsider {
	o := &outsider{all: all, answers: map[uint64]*wire.Response{}}
	for _, s := range all {
		inner := s.network
		s.network = func(snd *replica.Send) {
			if snd.To == outsiderID {
				o.answers[snd.Message.Response.ID] = snd.Message.Response
				return
			}
			inner(snd)
		}
	}
	return o
}

// ask has a node carry out a request, without any time passing.
func (o *outsider) ask(node kv.NodeID, req wire.Request) uint64 {
	o.lastID++
	req.ID = o.lastID
	s := o.all[node-1]
	s.worker.Receive(s.now, outsiderID, wire.Message{Request: &req})
	s.pass()
	o.all.settle()
	return req.ID
}

// allocate has the oracle hand some revisions out, for nothing.
func (o *outsider) allocate(leader kv.NodeID) kv.Revision {
	id := o.ask(leader, wire.Request{Oracle: &wire.OracleRequest{Count: 5}})
	return o.answers[id].Oracle.Base + 4
}

// A feed on a follower is answered as soon as the leader has closed what it wants,
// which takes no log entry and no tick.
func TestAFollowerHasTheLeaderClose(t *testing.T) {
	all := newTrioOf(t, 2, [][]byte{[]byte("m")})
	defer all.close()
	o := newOutsider(all)
	all.wait(10 * time.Second)
	all[0].submit(put("a"))
	all.settle()
	commit := all[0].worker.Replica(1).Status().Commit
	for range 3 {
		last := o.allocate(all.leader())
		for node := kv.NodeID(1); node <= 3; node++ {
			id := o.ask(node, wire.Request{Shard: 1, Feed: &wire.Feed{
				Feed: uint64(node), Keys: belowM, After: last - 1, Want: last,
			}})
			resp := o.answers[id]
			if resp == nil || resp.Fed == nil || resp.Fed.UpTo < last {
				t.Fatalf("n%d, for %v: %+v", node, last, resp)
			}
		}
	}
	if now := all[0].worker.Replica(1).Status().Commit; now != commit {
		t.Errorf("the commit index was %d and is %d", commit, now)
	}
}

// A leader that can't be reached is asked again, or its successor.
func TestAFollowerAsksTheNextLeader(t *testing.T) {
	all := newTrioOf(t, 2, [][]byte{[]byte("m")})
	defer all.close()
	o := newOutsider(all)
	all.wait(10 * time.Second)
	if all[0].worker.Replica(1).Leader() != 1 || all.leader() != 1 {
		t.Fatal("n1 leads nothing")
	}
	last := o.allocate(1)
	all[0].down = true
	for s := range 3 {
		id := o.ask(2, wire.Request{Shard: 1, Feed: &wire.Feed{
			Feed: 1, Keys: belowM, After: 1, Want: last,
		}})
		if s == 0 {
			if o.answers[id] != nil {
				t.Fatalf("nobody can have closed %v: %+v", last, o.answers[id])
			}
			all[1].worker.Unreachable(all[1].now, 1)
		}
		all.wait(1200 * time.Millisecond)
		resp := o.answers[id]
		if resp == nil || resp.Fed == nil {
			t.Fatalf("%+v", resp)
		}
		if resp.Fed.UpTo >= last {
			return
		}
	}
	t.Errorf("%v is not closed by the next leader", last)
}
