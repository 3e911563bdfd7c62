package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/engine"
	"github.com/miruvor/miruvor/internal/keyspace"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/mvcc"
	"github.com/miruvor/miruvor/internal/wire"
)

// tenants are three nodes with leases. Shard 1 holds the keys below m, shard 2
// the others; node 1 leads the system shard to begin with.
type tenants struct {
	trio
	t *testing.T
}

func newTenants(t *testing.T) *tenants {
	all := &tenants{newTrioOf(t, 2, [][]byte{[]byte("m")}), t}
	all.wait(8 * time.Second)
	if at := all.leader(); at != 1 {
		t.Fatalf("led by %v", at)
	}
	return all
}

// do has a node carry a request out, within some time, and tells the reply.
func (all *tenants) do(node int, req Request) string {
	all.t.Helper()
	s := all.trio[node-1]
	s.events = nil
	s.submit(req)
	for range 120 {
		all.settle()
		if len(s.events) > 0 {
			break
		}
		all.wait(50 * time.Millisecond)
	}
	if len(s.events) != 1 {
		all.t.Fatalf("node %d replies %q", node, s.events)
	}
	_, text, _ := strings.Cut(s.events[0], ": ")
	return text
}

// must has a request carried out that has to be done.
func (all *tenants) must(node int, req Request) string {
	all.t.Helper()
	text := all.do(node, req)
	if !strings.HasPrefix(text, "r") || strings.HasPrefix(text, "requested") {
		all.t.Fatal(text)
	}
	return text
}

func (all *tenants) grant(id kv.LeaseID, ttl int64) {
	all.t.Helper()
	all.must(2, ofLease(wire.Lease{Op: wire.LeaseGrant, ID: id, TTL: ttl}))
}

func (all *tenants) keepAlive(id kv.LeaseID) string {
	all.t.Helper()
	return all.do(2, ofLease(wire.Lease{Op: wire.LeaseKeepAlive, ID: id}))
}

// left is the time that a lease has left, in seconds, -1 if it is gone.
func (all *tenants) left(id kv.LeaseID) int {
	all.t.Helper()
	text := all.do(2, ofLease(wire.Lease{Op: wire.LeaseTimeToLive, ID: id}))
	if strings.Contains(text, kv.ErrLeaseNotFound.Error()) {
		return -1
	}
	var at, lease, left int
	if _, err := fmt.Sscanf(text, "r%d lease %d %d of", &at, &lease, &left); err != nil {
		all.t.Fatalf("%s: %v", text, err)
	}
	return left
}

// kill ends the life of a node.
func (all *tenants) kill(node kv.NodeID) {
	all.trio[node-1].down, all.trio[node-1].inbox = true, nil
}

// deliverOne brings one message to its node. It reports whether there was one.
func (all *tenants) deliverOne() bool {
	for _, s := range all.trio {
		if len(s.inbox) > 0 {
			l := s.inbox[0]
			s.inbox = s.inbox[1:]
			s.worker.Receive(s.now, l.from, l.message)
			s.pass()
			return true
		}
	}
	return false
}

// nothingLeft checks that no trace of leases is left anywhere, and that all
// keys that were deleted went at one revision.
func (all *tenants) nothingLeft() {
	all.t.Helper()
	deleted := map[kv.Revision][]string{}
	for _, s := range all.trio {
		if s.down {
			continue
		}
		for shard := kv.ShardID(0); shard <= 2; shard++ {
			if n := count(all.t, s.engine, keyspace.LeaseMetaSpan(shard)); n > 0 {
				all.t.Errorf("node %v, shard %v: %d leases or marks are left", s.node, shard, n)
			}
			if n := count(all.t, s.engine, keyspace.LeaseIndexSpans(shard)); n > 0 {
				all.t.Errorf("node %v, shard %v: %d keys are left", s.node, shard, n)
			}
			for e, err := range mvcc.History(s.engine, shard, 0, 0) {
				s.must(err)
				if e.Deleted {
					deleted[e.Revision] = append(deleted[e.Revision], string(e.KV.Key))
				}
			}
		}
		for _, shard := range s.worker.shards.Shards {
			for p, err := range mvcc.Check(s.engine, shard.ID, shard.Range, 0) {
				s.must(err)
				all.t.Errorf("node %v: %v", s.node, p)
			}
		}
	}
	if len(deleted) > 1 {
		all.t.Errorf("keys are deleted at several revisions: %v", deleted)
	}
}

func count(t *testing.T, r engine.Reader, span keyspace.Span) int {
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for on := it.First(); on; on = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// The time left survives a change of leaders, to the tenth or the second.
func TestTimeLeftSurvivesTheLeader(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 100)
	all.wait(55 * time.Second)
	all.kill(1)
	all.wait(3 * time.Second)
	// At least what is really left; not more than was at the last checkpoint.
	if left := all.left(7); left < 100-55-3 || left > 100-50 {
		t.Errorf("%d seconds left", left)
	}
}

// A lease lives for its time from the answer to a keep-alive on, whatever
// becomes of who answered. If nobody renews it, it ends with its keys.
func TestAKeptLeaseOutlivesTheLeader(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 5)
	all.must(2, hang(7, "a", "b"))
	all.wait(3500 * time.Millisecond)
	all.keepAlive(7)
	kept := all.trio[1].now
	all.kill(1)
	const life = wire.Instant(5 * time.Second)
	for all.trio[1].now < kept+life-wire.Instant(200*time.Millisecond) {
		all.wait(100 * time.Millisecond)
		if left := all.left(7); left < 0 {
			t.Fatalf("it is gone after %v", time.Duration(all.trio[1].now-kept))
		}
	}
	all.wait(5 * time.Second)
	if left := all.left(7); left >= 0 {
		t.Errorf("%d seconds left", left)
	}
	all.nothingLeft()
}

// A leader that was cut off believes that time is up, but can't end a lease
// that another keeps alive.
func TestADeposedLeaderEndsNothing(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 2)
	all.must(2, hang(7, "n"))
	all.keepAlive(7)
	all.wait(1800 * time.Millisecond)
	old := all.trio[0]
	old.cut = true
	for range 60 {
		all.wait(50 * time.Millisecond)
		if sys := all.trio[1].worker.system(); sys.Leading() {
			break
		}
		if sys := all.trio[2].worker.system(); sys.Leading() {
			break
		}
	}
	if text := all.keepAlive(7); !strings.Contains(text, "2 of 2 seconds") {
		t.Fatal(text)
	}
	if n := old.worker.office.lessor.Stats().Expired; n != 1 {
		t.Fatalf("the deposed leader has %d leases expire: this tests nothing", n)
	}
	old.cut = false
	for range 8 {
		all.wait(500 * time.Millisecond)
		if text := all.keepAlive(7); !strings.Contains(text, "2 of 2 seconds") {
			t.Fatal(text)
		}
	}
	if text := all.do(1, get("n")); !strings.Contains(text, "n=v") {
		t.Error(text)
	}
}

// A leader whose entries nobody gets any more, but who can still talk to the
// leaders of other shards, must not end what its successor keeps alive: it has
// not got it through its log.
func TestNothingEndsBeforeTheLogSaysSo(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 2)
	all.must(2, hang(7, "n")) // shard 2 is led by node 2
	all.keepAlive(7)
	all.wait(1800 * time.Millisecond)
	old := all.trio[0]
	old.mute = func(m *wire.Message) bool { return m.Raft != nil && m.Raft.Shard == kv.SystemShard }
	for range 20 {
		all.wait(50 * time.Millisecond)
		if old.worker.office.lessor.Stats().Expired > 0 {
			break
		}
	}
	if !old.worker.system().Leading() || old.worker.office.lessor.Stats().Expired != 1 {
		t.Fatal("the deposed leader has nothing expire while it believes that it leads")
	}
	all.wait(200 * time.Millisecond)
	if text := all.do(3, get("n")); !strings.Contains(text, "n=v") {
		t.Error(text)
	}
}

// Who does not know that another leads does not say that a lease lives, or does
// not.
func TestALeaderWithoutALeaseIsSilent(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 60)
	old := all.trio[0]
	old.cut = true
	all.wait(600 * time.Millisecond) // the lease of the leader is over
	if !old.worker.system().Leading() {
		t.Fatal("the leader has stepped down already: this tests nothing")
	}
	old.events = nil
	for _, op := range []wire.LeaseOp{wire.LeaseKeepAlive, wire.LeaseTimeToLive, wire.LeaseList} {
		old.submit(ofLease(wire.Lease{Op: op, ID: 7}))
	}
	old.submit(ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 8}))
	old.submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 9}))
	all.settle()
	if len(old.events) > 0 {
		t.Errorf("%q", old.events)
	}
}

// The first key that a shard hangs on a lease is noted down by the system shard. If
// its leader dies while that is done, the key is found all the same when the lease ends.
func TestTheFirstKeyIsFoundWhoeverDies(t *testing.T) {
	for after := 0; ; after += crashStride() {
		all := newTenants(t)
		all.grant(7, 60)
		s := all.trio[2]
		s.events = nil
		s.submit(hang(7, "z"))
		crashed := all.crashAfter(1, after)
		all.wait(7 * time.Second)
		all.must(3, ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
		all.wait(time.Second)
		all.nothingLeft()
		all.close()
		if t.Failed() {
			t.Fatalf("dies after message %d", after)
		}
		if !crashed {
			return
		}
	}
}

// No key comes onto a lease before the log says where to look for it.
func TestAKeyWaitsForItsShardToBeNotedDown(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 60)
	all.trio[0].mute = func(m *wire.Message) bool {
		return m.Raft != nil && m.Raft.Shard == kv.SystemShard
	}
	s := all.trio[2]
	s.events = nil
	s.submit(hang(7, "z"))
	all.settle()
	if len(s.events) > 0 {
		t.Errorf("%q", s.events)
	}
	all.kill(1)
	all.wait(7 * time.Second)
	all.must(3, ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
	all.wait(time.Second)
	all.nothingLeft()
}

// The deletion of a lease's keys may be under way for so long that the id is
// granted again, and the key put on that lease. It stays then.
func TestALateDeletionHitsNothing(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 60)
	all.must(1, hang(7, "n")) // shard 2 is led by node 2
	var late *wire.Message
	all.trio[0].mute = func(m *wire.Message) bool {
		lost := late == nil && m.Request != nil && m.Request.Txn != nil &&
			m.Request.Txn.Success[0].Txn != nil
		if lost {
			late = m
		}
		return lost
	}
	all.trio[2].submit(ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
	all.wait(8 * time.Second)
	all.nothingLeft()
	if late == nil {
		t.Fatal("the deletion was not seen")
	}
	all.grant(7, 60)
	all.must(1, hang(7, "n"))
	all.trio[1].inbox = append(all.trio[1].inbox, letter{1, *late})
	all.wait(time.Second)
	if text := all.do(3, get("n")); !strings.Contains(text, "n=v") {
		t.Errorf("it is deleted: %s", text)
	}
}

// A shard that can't be reached for long keeps a lease from its end only until it
// can be.
func TestTheEndOfALeaseIsTriedAgain(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 2)
	all.must(3, hang(7, "a", "z"))
	for _, s := range all.trio {
		s.mute = func(m *wire.Message) bool { return m.Raft != nil && m.Raft.Shard == 2 }
	}
	all.wait(9 * time.Second)
	if text := all.do(3, get("a")); !strings.Contains(text, "a=v") {
		t.Errorf("half of the lease is gone: %s", text)
	}
	for _, s := range all.trio {
		s.mute = nil
	}
	all.wait(6 * time.Second)
	all.nothingLeft()
}

// More keys than one transaction should delete go in several.
func TestManyKeysGoInParts(t *testing.T) {
	all := newTenants(t)
	defer all.close()
	all.grant(7, 60)
	const count, size = 90, 50_000
	for i := range count {
		all.must(1, hang(7, fmt.Sprintf("%02d%s", i, strings.Repeat("k", size))))
	}
	text := all.must(3, ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
	if !strings.Contains(text, "lease 7") {
		t.Error(text)
	}
	deleted := map[kv.Revision]int{}
	for e, err := range mvcc.History(all.trio[0].engine, 1, 0, 0) {
		all.trio[0].must(err)
		if e.Deleted {
			deleted[e.Revision]++
		}
	}
	sum := 0
	for _, n := range deleted {
		sum += n
	}
	if sum != count || len(deleted) != 2 {
		t.Errorf("deleted by revision: %v", deleted)
	}
}

func get(key string) Request {
	return Request{Range: &kv.RangeRequest{Range: kv.PointRange([]byte(key))}}
}

// Whatever message a leader dies after, the end of a lease comes to its end:
// all keys go, at one revision, and nothing of it is left.
func TestALeaseEndsWhoeverDies(t *testing.T) {
	for _, victim := range []kv.NodeID{1, 2} { // they lead shards 0 and 1, and 2
		for after := 0; ; after += crashStride() {
			all := newTenants(t)
			all.grant(7, 60)
			all.must(3, hang(7, "a"))
			all.must(3, hang(7, "b", "z"))
			s := all.trio[2]
			s.events = nil
			s.submit(ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
			crashed := all.crashAfter(victim, after)
			all.wait(12 * time.Second)
			if crashed && all.unheard(7) {
				all.must(3, ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
			}
			all.nothingLeft()
			all.close()
			if t.Failed() {
				t.Fatalf("%v dies after message %d: %q", victim, after, s.events)
			}
			if !crashed {
				if len(s.events) != 1 || !strings.Contains(s.events[0], "lease 7") {
					t.Fatalf("%q", s.events)
				}
				break
			}
		}
	}
}

// unheard reports whether nobody has heard that a lease is to be revoked, as node 3
// has it. Once the log says so, it comes to its end without being asked for again.
func (all *tenants) unheard(id kv.LeaseID) (unheard bool) {
	s := all.trio[2]
	s.must(s.worker.system().LoadLeases(func(found kv.LeaseID, r *keyspace.LeaseRecord) {
		unheard = unheard || found == id && !r.Revoking
	}))
	return unheard
}

func crashStride() int {
	if testing.Short() {
		return 5
	}
	return 1
}

// crashAfter delivers messages one by one, and kills a node after some. It
// reports whether there were as many.
func (all *tenants) crashAfter(victim kv.NodeID, messages int) bool {
	for range messages {
		if !all.deliverOne() {
			return false
		}
	}
	all.kill(victim)
	return true
}

// A put that races with the end of its lease is either deleted with the others,
// or refused. The lease has no keys in that shard before.
func TestAPutRacesWithTheEndOfItsLease(t *testing.T) {
	for after := 0; ; after += crashStride() {
		all := newTenants(t)
		all.grant(7, 60)
		all.must(3, hang(7, "a"))
		revoker, putter := all.trio[2], all.trio[1]
		revoker.events, putter.events = nil, nil
		revoker.submit(ofLease(wire.Lease{Op: wire.LeaseRevoke, ID: 7}))
		ended := false
		for range after {
			ended = ended || !all.deliverOne()
		}
		putter.submit(hang(7, "y"))
		putter.submit(hang(7, "b"))
		putter.submit(Request{Txn: &kv.TxnRequest{
			Success: append(hang(7, "c").Txn.Success, hang(7, "x").Txn.Success...),
		}})
		all.settle()
		all.wait(7 * time.Second)
		all.nothingLeft()
		for _, e := range putter.events {
			if strings.Contains(e, ": r") || strings.Contains(e, "lease not found") {
				continue
			}
			t.Errorf("%q", e)
		}
		if len(putter.events) != 3 || len(revoker.events) != 1 || t.Failed() {
			t.Fatalf("puts after message %d: %q, %q", after, putter.events, revoker.events)
		}
		all.close()
		if ended {
			return
		}
	}
}
