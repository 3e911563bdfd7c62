package worker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/replica"
	"github.com/miruvor/miruvor/internal/wire"
)

func compactAt(rev kv.Revision) Request {
	return Request{Compact: &wire.Compact{Revision: rev}}
}

// pushes are the requests for a floor that were sent to other nodes, as the numbers
// that scene.answer takes.
func (s *scene) pushes() []int {
	var found []int
	for i := range s.asked {
		if s.asked[i].Message.Request.Compact != nil {
			found = append(found, i+1)
		}
	}
	return found
}

func (s *scene) wantEvents(want ...string) {
	s.t.Helper()
	for i, event := range s.events {
		if i >= len(want) || !strings.HasPrefix(event, want[i]) {
			s.t.Fatalf("events %q, want %q", s.events, want)
		}
	}
	if len(s.events) != len(want) {
		s.t.Fatalf("events %q, want %q", s.events, want)
	}
	s.events = nil
}

func TestCompaction(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	s.submit(put("a"))
	s.submit(put("z"))
	s.events = nil
	last := s.worker.office.oracle.Last()

	s.submit(compactAt(last + 1))
	s.wantEvents("reply 3: required revision is a future revision")
	s.submit(compactAt(last))
	s.wantEvents("reply 4: floor " + last.String() + " of " + last.String())
	for _, shard := range []kv.ShardID{0, 1, 2} {
		if floor := s.worker.Replica(shard).Compacted(); floor != last {
			t.Errorf("the floor of shard %v is %v", shard, floor)
		}
	}
	for _, rev := range []kv.Revision{last, last - 1} {
		s.submit(compactAt(rev))
	}
	s.wantEvents("reply 5: required revision has been compacted",
		"reply 6: required revision has been compacted")
	s.submit(Request{Range: &kv.RangeRequest{Revision: last - 1}})
	s.wantEvents("reply 7: required revision has been compacted")
}

// apart is a cluster whose data shards lie on another node than the system
// shard, and that node does not answer by itself.
var apart = placement.Layout{
	Nodes: []kv.NodeID{1, 2}, Shards: 2, SplitAt: [][]byte{[]byte("m")}, Replicas: 1,
}

func TestCompactionWaitsForAllShards(t *testing.T) {
	s := newScene(t, 1, apart)
	defer s.close()
	s.wait(time.Second)
	elsewhere := 0
	for _, shard := range s.worker.shards.Shards {
		if !slices.Contains(shard.Nodes, 1) {
			elsewhere++
		}
	}
	if elsewhere != 1 {
		t.Fatalf("%d shards are elsewhere", elsewhere)
	}
	s.submit(compactAt(1))
	floor := wire.Response{UpkeepResponse: wire.UpkeepResponse{
		Compacted: &wire.Compacted{Floor: 1},
	}}
	answer := func(resp wire.Response) {
		t.Helper()
		pushes := s.pushes()
		s.answer(pushes[len(pushes)-1], resp)
	}
	count := func(want int) {
		t.Helper()
		if got := len(s.pushes()); got != want {
			t.Fatalf("the shard was told %d times, want %d", got, want)
		}
	}
	count(1)
	answer(wire.Response{Code: wire.CodeNotLeader})
	s.wait(100 * time.Millisecond)
	count(2)
	s.worker.Lost(s.now, &s.asked[s.pushes()[1]-1].Message)
	s.wait(100 * time.Millisecond)
	count(3)
	s.worker.Unreachable(s.now, 2)
	s.wait(100 * time.Millisecond)
	count(4)
	s.wait(1500 * time.Millisecond) // nobody answers
	count(5)
	answer(wire.Response{Code: wire.CodeTimeout})
	s.wait(200 * time.Millisecond)
	count(6)
	for _, event := range s.events {
		if strings.HasPrefix(event, "reply") {
			t.Fatalf("answered before all shards have it: %s", event)
		}
	}
	s.events = nil
	answer(floor)
	s.wantEvents("reply 1: floor r1 of r1")

	// A late answer to an earlier push changes nothing, and nothing is told again.
	s.answer(s.pushes()[0], wire.Response{Code: wire.CodeNotLeader})
	s.wait(3 * time.Second)
	count(6)
}

func TestCompactionThatTakesTooLong(t *testing.T) {
	s := newScene(t, 1, apart)
	defer s.close()
	s.wait(time.Second)
	req := compactAt(1)
	req.Deadline = s.now + wire.Instant(time.Minute)
	s.submit(req)
	s.events = nil
	s.wait(6 * time.Second)
	if !slices.ContainsFunc(s.events, func(event string) bool {
		return strings.HasPrefix(event, "reply 1: outcome unknown")
	}) {
		t.Errorf("%q", s.events)
	}
	// The floor is the cluster's all the same, and is still being told.
	if floor := s.worker.system().Compacted(); floor != 1 {
		t.Errorf("the floor is %v", floor)
	}
	before := len(s.pushes())
	s.wait(3 * time.Second)
	if len(s.pushes()) <= before {
		t.Error("the shard is not told any more")
	}
}

// A leader that is not in touch with the others refuses no revision for being too
// high: somebody else may have handed it out.
func TestCompactionByAStaleLeader(t *testing.T) {
	all := newTrio(t)
	defer all.close()
	all.wait(8 * time.Second)
	if at := all.leader(); at != 1 {
		t.Fatalf("led by %v", at)
	}
	stale := all[0]
	stale.network = func(*replica.Send) {}
	stale.events = nil
	stale.now += wire.Instant(time.Second) // its lease is over, and it does not know
	stale.submit(compactAt(50))
	stale.wantEvents()
	all.wait(3 * time.Second)
	if all[0].worker.system().Leading() {
		t.Fatal("it still leads")
	}
	for _, event := range stale.events {
		if strings.Contains(event, "future") {
			t.Errorf("%s", event)
		}
	}
}

// The floor is brought to an end by the next leader, although the one that
// committed it is gone, and with it the leader of the data shard.
func TestCompactionSurvivesItsLeader(t *testing.T) {
	all := newTrio(t)
	defer all.close()
	all.wait(8 * time.Second)
	all[1].submit(put("a"))
	all[1].submit(put("a"))
	all.settle()
	last := all[0].worker.Replica(1).Last()
	floors := func(shard kv.ShardID) (list []kv.Revision) {
		for _, s := range all[1:] {
			list = append(list, s.worker.Replica(shard).Compacted())
		}
		return list
	}
	network := all[0].network
	all[0].network = func(snd *replica.Send) {
		if r := snd.Message.Raft; r == nil || r.Shard == kv.SystemShard {
			network(snd)
		}
	}
	all[1].submit(compactAt(last))
	for floors(kv.SystemShard)[0] != last {
		all.wait(50 * time.Millisecond)
	}
	if got := floors(1); slices.Contains(got, last) {
		t.Fatalf("the data shard has the floors %v already", got)
	}
	all[0].down = true
	all.wait(8 * time.Second)
	for _, shard := range []kv.ShardID{0, 1} {
		if got := floors(shard); got[0] != last || got[1] != last {
			t.Errorf("shard %v has the floors %v, want %v", shard, got, last)
		}
	}
	all[1].events = nil
	all[1].submit(Request{Range: &kv.RangeRequest{Revision: last - 1}})
	all.wait(time.Second)
	if len(all[1].events) != 1 || !strings.Contains(all[1].events[0], kv.ErrCompacted.Error()) {
		t.Errorf("%q", all[1].events)
	}
}

// A cluster that is told to keeps its last revisions and forgets the others.
func TestTheClusterCompactsItself(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.worker.cfg.AutoCompaction = AutoCompaction{Revisions: 2}
	s.wait(time.Second)
	for range 5 {
		s.submit(put("a"))
	}
	last := s.worker.office.oracle.Last()
	s.wait(revisionPeriod)
	for _, shard := range []kv.ShardID{0, 1, 2} {
		if floor := s.worker.Replica(shard).Compacted(); floor != last-2 {
			t.Errorf("the floor of shard %v is %v, want %v", shard, floor, last-2)
		}
	}
	if n := s.worker.Replica(1).Load().SweptVersions; n == 0 {
		t.Error("nothing is swept")
	}
	s.wait(revisionPeriod) // nothing was written since
	if floor := s.worker.system().Compacted(); floor != last-2 {
		t.Errorf("the floor went on to %v", floor)
	}
}

// A range over several shards that names no revision does not fail because of a
// compaction: it takes another.
func TestRangesBeginAnewAfterACompaction(t *testing.T) {
	s := newScene(t, 1, apart)
	defer s.close()
	s.wait(time.Second)
	s.submit(Request{Range: &kv.RangeRequest{}})
	asked := len(s.asked)
	s.answer(asked, wire.Response{Code: wire.CodeCompacted, Text: kv.ErrCompacted.Error()})
	s.wait(100 * time.Millisecond)
	if len(s.asked) == asked {
		t.Fatalf("not asked again: %q", s.events)
	}
	s.events = nil
	s.answer(len(s.asked), wire.Response{Range: &kv.RangeResponse{Revision: 1}})
	s.wantEvents("reply 1: r1")

	s.submit(Request{Range: &kv.RangeRequest{Revision: 1}})
	s.answer(len(s.asked), wire.Response{Code: wire.CodeCompacted, Text: kv.ErrCompacted.Error()})
	if last := s.events[len(s.events)-1]; !strings.Contains(last, kv.ErrCompacted.Error()) {
		t.Errorf("%q", s.events)
	}
}
