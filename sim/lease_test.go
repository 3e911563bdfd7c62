package sim

import (
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/wire"
)

// Where nothing is worse than a leader that hands over, a lease has as much time left
// after it as before, but for what went by since the last checkpoint.
func TestTimeLeftSurvivesHandovers(t *testing.T) {
	asked := 0
	for seed := range uint64(5) {
		cfg := Random(seed)
		cfg.Shape = Shape{Nodes: 3, Workers: 1, Shards: 2, Replicas: 3}
		cfg.Load = Load{
			Clients: 1, Keepers: 4, Length: 25 * time.Second, Think: 150 * time.Millisecond,
			Keys: 4,
		}
		cfg.Faults = Faults{Handover: 4 * time.Second}
		r := run(t, cfg)
		if r.Err != nil {
			t.Errorf("seed %d: %v", seed, r.Err)
		}
		asked += askedInLaterReigns(&r.History)
	}
	if asked < 25 {
		t.Errorf("the time left was told %d times after a handover", asked)
	}
}

// askedInLaterReigns counts the answers about the time left of leases that were
// granted under an earlier leader.
func askedInLaterReigns(h *History) (n int) {
	for _, op := range h.Ops {
		if op.Lease == nil || op.Lease.Request.Op != wire.LeaseTimeToLive || op.Fate() != Done {
			continue
		}
		born := h.Leases[op.Lease.Request.ID].Born
		for _, reign := range h.Reigns {
			if reign > born && reign < op.Asked {
				n++
				break
			}
		}
	}
	return n
}

// leaseOps is a history of one lease of 4 seconds, granted at 1 s, which begins to end
// at dying, and is gone a second later; a put at r2 hangs a key on it that goes at r3.
func leaseOps(dying Time) *History {
	h := &History{Leases: map[kv.LeaseID]*Tenure{
		7: {Born: second, Dying: dying, Gone: dying + second},
	}}
	grant := leaseOp(wire.Lease{Op: wire.LeaseGrant, ID: 7, TTL: 4})
	grant.Lease.Response = &wire.LeaseResponse{
		Lease: kv.Lease{ID: 7, TTL: 4, Granted: 4, Revision: 1},
	}
	h.record(grant, second)
	put := single(kv.Op{Put: &kv.PutRequest{Key: []byte("a"), Value: []byte("x"), Lease: 7}})
	put.TxnResponse = &kv.TxnResponse{
		Succeeded: true, Revision: 2,
		Results: []kv.Result{{Put: &kv.PutResponse{Version: 1}}},
	}
	h.record(put, 2*second)
	h.Commits = []Commit{
		{Revision: 2, Writes: []Write{{Key: "a", Value: "x", Create: 2, Version: 1, Lease: 7}}},
		{Revision: 3, Writes: []Write{{Key: "a", Tombstone: true}}},
	}
	return h
}

const second = Time(time.Second)

// record adds an operation that was answered in no time.
func (h *History) record(op *Op, at Time) {
	op.Asked, op.Answered = at, at
	h.begin(op)
	h.end(op)
}

// says adds an answer about the lease of leaseOps, after so many seconds.
func says(op wire.LeaseOp, after Time, left int64, err error) func(h *History) {
	return func(h *History) {
		rev := kv.Revision(2)
		if after*second >= h.Leases[7].Dying {
			rev = 3
		}
		saysAt(h, op, after, left, rev, err)
	}
}

func saysAt(h *History, op wire.LeaseOp, after Time, left int64, rev kv.Revision, err error) {
	o := leaseOp(wire.Lease{Op: op, ID: 7})
	if o.Err = err; err == nil {
		o.Lease.Response = &wire.LeaseResponse{
			Lease: kv.Lease{ID: 7, TTL: left, Granted: 4, Revision: rev},
		}
	}
	h.record(o, after*second)
}

func TestCheckerOfLeases(t *testing.T) {
	const keep, ask = wire.LeaseKeepAlive, wire.LeaseTimeToLive
	for name, c := range map[string]struct {
		dying Time
		alter func(h *History)
		sound bool
	}{
		"all is well":     {5 * second, func(*History) {}, true},
		"too early":       {5*second - 1, func(*History) {}, false},
		"a fast clock":    {5*second - 1, func(h *History) { h.Drift = 0.01 }, true},
		"revoked":         {2 * second, says(wire.LeaseRevoke, 2, 0, kv.ErrUncertain), true},
		"too late":        {18 * second, func(*History) {}, false},
		"kept alive":      {5 * second, says(keep, 2, 4, nil), false},
		"alive when dead": {5 * second, says(keep, 7, 4, nil), false},
		"gone too early":  {5 * second, says(keep, 4, 0, kv.ErrLeaseNotFound), false},
		"gone":            {5 * second, says(keep, 7, 0, kv.ErrLeaseNotFound), true},
		"used in time":    {6 * second, says(ask, 5, 0, nil), true},
		"used too late":   {7 * second, says(ask, 6, 0, nil), false},
		"a new leader": {7 * second, func(h *History) {
			h.Reigns = []Time{3 * second}
			says(ask, 6, 0, nil)(h)
		}, true},
		"keys go too early": {6 * second, func(h *History) {
			saysAt(h, ask, 5, 0, 3, nil)
		}, false},
		"time left":    {5 * second, says(ask, 3, 2, nil), true},
		"too little":   {5 * second, says(ask, 3, 0, nil), false},
		"a key hangs":  {5 * second, func(h *History) { h.Commits = h.Commits[:1] }, false},
		"half deleted": {5 * second, func(h *History) { h.addUnknownPut("b", 7) }, false},
		"too much": {5 * second, func(h *History) {
			h.Gentle = true
			says(ask, 3, 4, nil)(h)
		}, false},
	} {
		h := leaseOps(c.dying)
		c.alter(h)
		if err := h.Check(false); (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// addUnknownPut has a second key hang on a lease, before r3.
func (h *History) addUnknownPut(key string, lease kv.LeaseID) {
	put := single(kv.Op{Put: &kv.PutRequest{Key: []byte(key), Lease: lease}})
	put.Err = kv.ErrUncertain
	h.record(put, 2*second)
	h.Commits[1].Revision = 4
	h.Commits = append(h.Commits[:1:1],
		Commit{Revision: 3, Writes: []Write{{Key: key, Create: 3, Version: 1, Lease: lease}}},
		h.Commits[1])
}
