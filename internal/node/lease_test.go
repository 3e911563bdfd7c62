package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// hang puts keys on a lease, from a node.
func (c *testCluster) hang(i int, id kv.LeaseID, keys ...string) {
	c.t.Helper()
	var req kv.TxnRequest
	for _, key := range keys {
		put := &kv.PutRequest{Key: []byte(key), Value: []byte("v"), Lease: id}
		req.Success = append(req.Success, kv.Op{Put: put})
	}
	if _, err := c.nodes[i].Txn(c.t.Context(), req); err != nil {
		c.t.Fatal(err)
	}
}

// awaitEnd waits until a lease is gone, and tells when that was.
func (c *testCluster) awaitEnd(i int, id kv.LeaseID) time.Time {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < patience; <-tick.C {
		_, err := c.nodes[i].LeaseTimeToLive(c.t.Context(), id, false)
		switch {
		case errors.Is(err, kv.ErrLeaseNotFound):
			return time.Now()
		case err != nil && !errors.Is(err, kv.ErrTimeout) && !errors.Is(err, kv.ErrNoLeader):
			c.t.Fatal(err)
		}
	}
	c.t.Fatalf("lease %d does not end", id)
	return time.Time{}
}

// A lease that nobody keeps alive ends, and takes its keys along, which lie in
// several shards, at one revision.
func TestALeaseExpires(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3, 4, DurabilityOS)
	c.awaitAll()
	lease, err := c.nodes[1].LeaseGrant(t.Context(), kv.LeaseGrantRequest{TTL: 2})
	if err != nil || lease.TTL != 2 || lease.ID <= 0 || lease.ID >= 1<<53 {
		t.Fatalf("%+v, %v", lease, err)
	}
	begin := time.Now()
	c.hang(2, lease.ID, "a", "\x50", "\xa0")
	c.hang(0, lease.ID, "b", "\xf0")
	got, err := c.nodes[0].LeaseTimeToLive(t.Context(), lease.ID, true)
	if err != nil || len(got.Keys) != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	before := c.put(0, "stays", "v")
	end := c.awaitEnd(2, lease.ID)
	if took := end.Sub(begin); took < 2*time.Second-50*time.Millisecond || took > 6*time.Second {
		t.Errorf("it lived for %v", took)
	}
	resp, err := c.nodes[1].Range(t.Context(), kv.RangeRequest{})
	if err != nil || len(resp.KVs) != 1 || resp.Revision != before+1 {
		t.Errorf("%d keys at %v, %v; the last put was at %v", len(resp.KVs), resp.Revision, err,
			before)
	}
	put := kv.PutRequest{Key: []byte("a"), Lease: lease.ID}
	if _, err := kv.Put(t.Context(), c.nodes[0], put); !errors.Is(err, kv.ErrLeaseNotFound) {
		t.Errorf("a put on it: %v", err)
	}
	c.checkStopped()
}

// A lease that was kept alive outlives the node that looked after it.
func TestALeaseOutlivesALeader(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3, 2, DurabilityOS)
	c.awaitAll()
	leader := int(c.status(0).Shards[0].Leader) - 1
	other := (leader + 1) % 3
	lease, err := c.nodes[other].LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: 77, TTL: 4})
	if err != nil {
		t.Fatal(err)
	}
	c.hang(other, lease.ID, "a", "\xf0")
	c.await("a checkpoint", func() error { // the log has less then
		left, err := c.nodes[other].LeaseTimeToLive(t.Context(), lease.ID, false)
		if err == nil && left.TTL > 2 {
			err = fmt.Errorf("%d seconds are left", left.TTL)
		}
		return err
	})
	if _, err := c.nodes[other].LeaseKeepAlive(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	kept := time.Now()
	c.stop(leader)
	if took := c.awaitEnd(other, lease.ID).Sub(kept); took < 4*time.Second {
		t.Errorf("it ended %v after it was kept alive for 4s", took)
	}
	if resp, err := c.nodes[other].Range(t.Context(), kv.RangeRequest{}); err != nil ||
		len(resp.KVs) > 0 {
		t.Errorf("%v, %v", resp, err)
	}
}

func (c *testCluster) status(i int) kv.Status {
	c.t.Helper()
	st, err := c.nodes[i].Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return st
}

// Grants of a taken id, of bad ids and of bad times are refused.
func TestGrantsAreChecked(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1, 1, DurabilityMemory)
	c.awaitReady(0)
	for _, tt := range []struct {
		req  kv.LeaseGrantRequest
		want error
	}{
		{kv.LeaseGrantRequest{ID: 5, TTL: 60}, nil},
		{kv.LeaseGrantRequest{ID: 5, TTL: 60}, kv.ErrLeaseExists},
		{kv.LeaseGrantRequest{ID: -5, TTL: 60}, kv.ErrInvalid},
		{kv.LeaseGrantRequest{TTL: kv.LeaseTTLMax + 1}, kv.ErrLeaseTTLTooLarge},
		{kv.LeaseGrantRequest{TTL: -1}, nil},
	} {
		if _, err := c.nodes[0].LeaseGrant(t.Context(), tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v", tt.req, err)
		}
	}
	list, err := c.nodes[0].Leases(t.Context())
	if err != nil || len(list.IDs) != 2 || list.Revision != kv.FirstRevision {
		t.Errorf("%+v, %v", list, err)
	}
	if rev, err := c.nodes[0].LeaseRevoke(t.Context(), 5); err != nil || rev != list.Revision {
		t.Errorf("revoked at %v, %v", rev, err)
	}
	if _, err := c.nodes[0].LeaseRevoke(t.Context(), 5); !errors.Is(err, kv.ErrLeaseNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

// A lease ends however large the values of its keys are.
func TestALeaseOfLargeValuesEnds(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 2} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, 1, shards, DurabilityMemory)
			c.awaitReady(0)
			if _, err := c.nodes[0].LeaseGrant(t.Context(),
				kv.LeaseGrantRequest{ID: 5, TTL: 600}); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				put := kv.PutRequest{
					Key: []byte{byte(25 * i)}, Value: make([]byte, 1<<20), Lease: 5,
				}
				if _, err := kv.Put(t.Context(), c.nodes[0], put); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.nodes[0].LeaseRevoke(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
			resp, err := c.nodes[0].Range(t.Context(), kv.RangeRequest{KeysOnly: true})
			if err != nil || len(resp.KVs) > 0 {
				t.Errorf("%d keys are left, %v", len(resp.KVs), err)
			}
		})
	}
}
