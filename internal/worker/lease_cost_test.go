package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// What many clients ask of leases at the same time shares entries of the log, and
// a keep-alive needs none unless there was a checkpoint since the last.
func TestLeasesShareEntries(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	index := func() uint64 { return s.worker.system().Applied().Index }
	// entries counts those that asking about all leases at once takes.
	entries := func(op wire.LeaseOp) uint64 {
		before := index()
		s.events = nil
		for id := range kv.LeaseID(1000) {
			req := ofLease(wire.Lease{Op: op, ID: id + 1, TTL: 30})
			req.ID, req.Deadline = uint64(id)+1, s.now+wire.Instant(time.Second)
			s.worker.Submit(s.now, req)
		}
		s.pass()
		if len(s.events) != 1000 {
			t.Fatalf("%d replies, the first is %q", len(s.events), s.events[:1])
		}
		return index() - before
	}
	if n := entries(wire.LeaseGrant); n != 1 {
		t.Errorf("1000 grants take %d entries", n)
	}
	if n := entries(wire.LeaseKeepAlive); n != 0 {
		t.Errorf("1000 keep-alives take %d entries", n)
	}
	before := index()
	s.wait(3100 * time.Millisecond)
	if n := index() - before; n != 1 {
		t.Errorf("the checkpoints of 1000 leases take %d entries", n)
	}
	if n := entries(wire.LeaseKeepAlive); n != 1 {
		t.Errorf("1000 keep-alives after checkpoints take %d entries", n)
	}
	if n := entries(wire.LeaseTimeToLive) + entries(wire.LeaseList); n != 0 {
		t.Errorf("looking takes %d entries", n)
	}
}

// The time of a lease begins when the grant is answered, however slow the disk is.
func TestALeaseBeginsWithTheAnswer(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	for _, slow := range []time.Duration{900 * time.Millisecond, 4 * time.Second} {
		id := kv.LeaseID(slow)
		s.slow = true
		s.submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: id, TTL: 10}))
		s.wait(slow)
		s.slow = false
		s.pass()
		s.events = nil
		s.submit(ofLease(wire.Lease{Op: wire.LeaseTimeToLive, ID: id}))
		if !strings.Contains(s.events[0], "10 of 10 seconds") {
			t.Errorf("after %v: %q", slow, s.events)
		}
	}
}

// Leases that end at the same time do not wait for each other.
func TestManyLeasesEnd(t *testing.T) {
	s := newScene(t, 1, alone)
	defer s.close()
	s.wait(time.Second)
	const leases = 400
	for id := range kv.LeaseID(leases) {
		s.submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: id + 1, TTL: 2}))
		s.submit(hang(id+1, fmt.Sprintf("a%d", id), fmt.Sprintf("z%d", id)))
	}
	s.wait(2 * time.Second)
	s.events = nil
	s.submit(ofLease(wire.Lease{Op: wire.LeaseList}))
	s.submit(Request{Range: &kv.RangeRequest{}})
	if len(s.events) != 2 || !strings.HasSuffix(s.events[0], fmt.Sprintf(": r%d", 1+2*leases)) ||
		!strings.HasSuffix(s.events[1], fmt.Sprintf(": r%d", 1+2*leases)) {
		t.Errorf("%q", s.events)
	}
}

// A put on a lease costs what a put costs.
func BenchmarkPut(b *testing.B) {
	for _, id := range []kv.LeaseID{0, 7} {
		b.Run(fmt.Sprintf("lease=%d", id), func(b *testing.B) {
			t := &testing.T{}
			s := newScene(t, 1, alone)
			defer s.close()
			s.wait(time.Second)
			s.submit(ofLease(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 1000}))
			s.submit(hang(7, "a"))
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = fmt.Sprintf("a%d", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.submit(hang(id, keys[i%len(keys)]))
				s.events = s.events[:0]
			}
		})
	}
}
