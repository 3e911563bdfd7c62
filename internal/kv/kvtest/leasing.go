package kvtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
)

// leaseIDs has the store choose ids.
func leaseIDs(c *testCase) {
	var ids []kv.LeaseID
	for range 10 {
		granted, err := c.store.LeaseGrant(c.ctx, kv.LeaseGrantRequest{TTL: 60})
		if err != nil {
			c.Fatal(err)
		}
		if granted.ID <= 0 || slices.Contains(ids, granted.ID) {
			c.Fatalf("the id chosen is %d, there are %v", granted.ID, ids)
		}
		ids = append(ids, granted.ID)
	}
	slices.Sort(ids)
	list, err := c.store.Leases(c.ctx)
	if err != nil || !slices.Equal(list.IDs, ids) {
		c.Fatalf("the leases are %v, error %v; granted were %v", list.IDs, err, ids)
	}
}

// leaseKeys hangs many keys of many shards on one lease, and revokes it.
func leaseKeys(c *testCase) {
	const keys = 300
	c.mustGrant(7, 60)
	want := map[string]bool{}
	for i := 0; i < keys; i += 50 {
		var req kv.TxnRequest
		for j := range 50 {
			k := key(fmt.Sprintf("%c/%03d", "abcnrx"[j%6], i+j))
			want[string(k)] = true
			req.Success = append(req.Success, kv.Op{Put: &kv.PutRequest{Key: k, Lease: 7}})
		}
		c.mustWrite(req)
	}
	c.mustWrite(putOf(key("c/stays"), nil))
	left, err := c.store.LeaseTimeToLive(c.ctx, 7, true)
	if err != nil || len(left.Keys) != keys {
		c.Fatalf("the lease has %d keys, error %v; want %d", len(left.Keys), err, keys)
	}
	w := c.newWatcher().mustAdd(kv.WatchRequest{})
	at, err := c.store.LeaseRevoke(c.ctx, 7)
	if err != nil {
		c.Fatal(err)
	}
	w.mustTell(keys)
	w.mustBeExpiry(at, left.Keys)
	for _, k := range left.Keys {
		if !want[string(k)] {
			c.Fatalf("%q hangs on the lease", k)
		}
	}
	if n := c.count(""); n != 1 {
		c.Fatalf("%d keys are left, want 1", n)
	}
}

// mustBeExpiry checks that the events are the deletions of keys, in their
// order, all at one revision.
func (w *watched) mustBeExpiry(at kv.Revision, keys [][]byte) {
	w.of.Helper()
	for i, e := range w.events {
		if !e.Deleted || e.KV.ModRevision != at || string(e.KV.Key) != string(keys[i]) {
			w.of.Fatalf("event %d is %s, want the deletion of %q at %v",
				i, printedEvent(&e), keys[i], at)
		}
	}
}

// leaseExpiry waits for a lease to go by itself while another one is renewed.
func leaseExpiry(c *testCase) {
	if testing.Short() {
		c.Skip("takes as long as the shortest lease")
	}
	began := time.Now()
	c.mustGrant(1, kv.LeaseTTLMin)
	c.mustGrant(2, kv.LeaseTTLMin)
	keys := [][]byte{key("a"), key("b/2"), key("n"), key("r/2")}
	for _, k := range slices.Backward(keys) {
		c.mustPut(kv.PutRequest{Key: k, Lease: 1})
	}
	c.mustPut(kv.PutRequest{Key: key("c"), Lease: 2})
	w := c.newWatcher().mustAdd(kv.WatchRequest{PrevKV: true})
	for len(w.events) == 0 {
		if _, err := c.store.LeaseKeepAlive(c.ctx, 2); err != nil {
			c.Fatalf("a lease that is renewed went: %v", err)
		}
		w.of.readFor(kv.LeaseTTLMin * time.Second / 10)
	}
	if lived := time.Since(began); lived < kv.LeaseTTLMin*time.Second {
		c.Fatalf("a lease of %d s went after %v", kv.LeaseTTLMin, lived)
	}
	w.mustTell(len(keys))
	w.mustBeExpiry(c.revision(), keys)
	if string(w.events[0].Prev.Key) != string(keys[0]) {
		c.Fatalf("before: %s", printedEvent(&w.events[0]))
	}
	c.mustBeGone(1)
	if _, err := c.store.LeaseRevoke(c.ctx, 2); err != nil {
		c.Fatal(err)
	}
}

// mustBeGone checks that nothing knows of a lease.
func (c *testCase) mustBeGone(id kv.LeaseID) {
	c.Helper()
	_, err := c.store.LeaseKeepAlive(c.ctx, id)
	c.mustFail(err, kv.ErrLeaseNotFound, "keep a lease alive that expired")
	_, err = c.store.LeaseTimeToLive(c.ctx, id, true)
	c.mustFail(err, kv.ErrLeaseNotFound, "ask for a lease that expired")
	_, err = c.store.LeaseRevoke(c.ctx, id)
	c.mustFail(err, kv.ErrLeaseNotFound, "revoke a lease that expired")
	_, err = kv.Put(c.ctx, c.store, kv.PutRequest{Key: key("a"), Lease: id})
	c.mustFail(err, kv.ErrLeaseNotFound, "hang a key on a lease that expired")
	list, err := c.store.Leases(c.ctx)
	if err != nil || slices.Contains(list.IDs, id) {
		c.Fatalf("the leases are %v, error %v; %d expired", list.IDs, err, id)
	}
}

func (c *testCase) mustGrant(id kv.LeaseID, ttl int64) {
	c.Helper()
	if _, err := c.store.LeaseGrant(c.ctx, kv.LeaseGrantRequest{ID: id, TTL: ttl}); err != nil {
		c.Fatal(err)
	}
}

func (c *testCase) mustPut(req kv.PutRequest) {
	c.Helper()
	c.mustWrite(kv.TxnRequest{Success: []kv.Op{{Put: &req}}})
}
