package worker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/placement"
	"github.com/miruvor/miruvor/internal/wire"
)

// Tests of a cluster in which one shard holds all keys, and numbers itself.

// A transaction that writes, and reads the past, wants the last revision first and one of
// its own then. It does not wait for a tick between the two.
func TestWhatWantsTwiceWaitsForNoTick(t *testing.T) {
	s := newScene(t, 1, placement.Layout{Nodes: []kv.NodeID{1}, Shards: 1, Replicas: 1})
	defer s.close()
	s.wait(time.Second)
	s.submit(put("a"))
	s.submit(lookAt("a", 2))
	if want := []string{"reply 1: r2", "reply 2: r3 a=v"}; !slices.Equal(s.events, want) {
		t.Errorf("%q", s.events)
	}
}

// Nor does a long read, which takes the last revision first, wait for one before it goes on.
func TestALongReadWaitsForNoTick(t *testing.T) {
	s := newScene(t, 1, placement.Layout{Nodes: []kv.NodeID{1}, Shards: 1, Replicas: 1})
	defer s.close()
	s.wait(time.Second)
	for i := range 11 {
		req := Request{Txn: &kv.TxnRequest{}}
		for j := range 1000 {
			req.Txn.Success = append(req.Txn.Success, kv.Op{Put: &kv.PutRequest{
				Key: fmt.Appendf(nil, "%02d%03d", i, j),
			}})
		}
		s.submit(req)
	}
	s.events = nil
	all := &kv.RangeRequest{Range: kv.Range{Start: []byte("0")}, CountOnly: true}
	s.submit(Request{Range: all})
	if want := []string{"reply 12: r12, 11000 keys"}; !slices.Equal(s.events, want) {
		t.Errorf("%q", s.events)
	}
}

// TestAPassIsShort: however much is to be applied, a pass ends soon, so that heartbeats leave.
func TestAPassIsShort(t *testing.T) {
	s := newScene(t, 1, placement.Layout{Nodes: []kv.NodeID{1}, Shards: 1, Replicas: 1})
	defer s.close()
	s.wait(time.Second)
	s.slow = true
	const count, size = 12, passBytesMax / 2
	for i := range count {
		req := put(fmt.Sprint(i))
		req.Txn.Success[0].Put.Value = make([]byte, size)
		s.submit(req)
	}
	for len(s.saves) > 0 {
		s.save()
	}
	replies, passes := 0, 0
	for more := true; more; passes++ {
		var eff *Effects
		eff, more = s.worker.Pass(s.now)
		if replies += len(eff.Replies); len(eff.Replies) > 3 {
			t.Errorf("a pass applies %d times %d bytes", len(eff.Replies), size)
		}
	}
	if replies != count || passes < count/3 {
		t.Errorf("%d replies in %d passes", replies, passes)
	}
}

// lookAt is a transaction that reads a key as it was at a revision, and writes.
func lookAt(key string, at kv.Revision) Request {
	look := &kv.RangeRequest{Range: kv.PointRange([]byte(key)), Revision: at}
	return Request{Txn: &kv.TxnRequest{Success: []kv.Op{{Range: look}, put("z").Txn.Success[0]}}}
}

// A proposal that raft does not take has used no revision, and nothing is compared as if
// it had.
func TestWhatRaftDoesNotTakeHasUsedNoRevision(t *testing.T) {
	all := newTrio(t)
	defer all.close()
	all.wait(8 * time.Second)
	s := all[0]
	r := s.worker.replicas[1]
	s.mute = func(m *wire.Message) bool {
		return m.Raft != nil && m.Raft.Msg.GetType() == raftpb.MsgTimeoutNow
	}
	s.must(r.Prefer(2, s.now+wire.Instant(time.Second)))
	for !r.Giving() {
		all.wait(50 * time.Millisecond)
	}
	for range 3 { // meanwhile raft takes nothing
		lost := put("a")
		lost.Deadline = s.now + wire.Instant(90*time.Millisecond)
		s.submit(lost)
	}
	all.wait(2 * time.Second)
	if len(s.events) != 3 || r.Giving() || !r.Leading() || r.Last() != 1 {
		t.Fatalf("%q at %v", s.events, r.Last())
	}
	s.events = nil
	later := kv.Compare{
		Key: []byte("a"), Target: kv.CompareMod, Relation: kv.Greater, Number: 3,
	}
	soon := s.now + wire.Instant(time.Second)
	s.worker.Submit(s.now, Request{ID: 4, Txn: put("a").Txn, Deadline: soon})
	s.worker.Submit(s.now, Request{ID: 5, Deadline: soon, Txn: &kv.TxnRequest{
		Compares: []kv.Compare{later}, Success: put("b").Txn.Success,
	}})
	s.pass()
	all.settle()
	if want := []string{"reply 4: r2", "reply 5: r2 failed"}; !slices.Equal(s.events, want) {
		t.Errorf("%q", s.events)
	}
}

// newDeposed are three nodes of which the first leads the system shard, and takes itself
// for the leader of shard 1 too, as which the second has just been elected.
func newDeposed(t *testing.T) trio {
	all := newTrio(t)
	all.wait(8 * time.Second)
	first, second := all[0].worker.replicas[1], all[1].worker.replicas[1]
	all[0].must(first.Prefer(2, all[0].now+wire.Instant(5*time.Second)))
	for !first.Giving() {
		all.settle()
		for _, s := range all {
			s.now += wire.Instant(50 * time.Millisecond)
			s.worker.Tick(s.now)
			s.pass()
		}
	}
	for _, s := range all[1:] {
		s.mute = func(m *wire.Message) bool {
			return m.Raft != nil && m.Raft.Shard == 1 && m.Raft.Msg.GetTo() == 1
		}
	}
	all.settle()
	if !all[0].worker.system().Leading() || !first.Leading() || !second.Leading() {
		t.Fatalf("%+v", all[0].worker.Status())
	}
	return all
}

// A leader that was deposed does not know the last revision. So it can't say that one is
// yet to come.
func TestADeposedLeaderDoesNotKnowTheFuture(t *testing.T) {
	all := newDeposed(t)
	defer all.close()
	all[1].submit(put("a"))
	all.settle()
	all[0].submit(lookAt("a", 2))
	all.settle()
	if len(all[0].events) > 0 {
		t.Errorf("%q, after %q", all[0].events, all[1].events)
	}
	for _, s := range all {
		s.mute = nil
	}
	all.wait(2 * time.Second)
	if want := []string{"reply 1: r3 a=v"}; !slices.Equal(all[0].events, want) {
		t.Errorf("%q, after %q", all[0].events, all[1].events)
	}
}

// Nor can it say for leases what the last revision is.
func TestADeposedLeaderDatesNoLease(t *testing.T) {
	all := newDeposed(t)
	defer all.close()
	all[1].submit(put("a"))
	all.settle()
	all[2].submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 5}))
	for _, s := range all {
		s.mute = nil
	}
	all.wait(2 * time.Second)
	if want := []string{"reply 1: r2 lease 7 5 of 5 seconds"}; !slices.Equal(all[2].events, want) {
		t.Errorf("%q, after %q", all[2].events, all[1].events)
	}
}

// Whoever keeps a lease alive is told so when it has its full time left, however long it
// takes to learn the last revision, which is told with it.
func TestAKeptLeaseHasItsTimeLeftWhenThatIsTold(t *testing.T) {
	all := newDeposed(t)
	defer all.close()
	for _, s := range all {
		s.mute = nil
	}
	all.wait(2 * time.Second)
	all[2].submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 2}))
	all.settle()
	all[0].mute = func(m *wire.Message) bool { return m.Request != nil && m.Request.Oracle != nil }
	all[2].submit(ofLease(wire.Lease{Op: wire.LeaseKeepAlive, ID: 7}))
	for range 20 {
		if len(all[2].events) < 2 {
			all.wait(50 * time.Millisecond)
		}
	}
	told := all[0].now
	for range 100 {
		if len(all[0].worker.office.lessor.IDs()) > 0 {
			all.wait(50 * time.Millisecond)
		}
	}
	if lived := time.Duration(all[0].now - told); lived < 2*time.Second {
		t.Errorf("it lived for %v: %q", lived, all[2].events)
	}
}
