package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/bench/etcdstore"
	"github.com/miruvor/miruvor/internal/etcdimport"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestImportOfEtcd: all of an etcd arrives, with what happens there while it is
// copied and followed, after an interruption and behind a compaction.
func TestImportOfEtcd(t *testing.T) {
	server, err := etcdstore.StartServer(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	client, to := server.Client(), kvfake.New()
	for id, ttl := range map[clientv3.LeaseID]int64{5: 600, 6: 2} {
		grant(t, client, id, ttl)
	}
	const keys = 1000
	for i := range keys {
		put(t, client, fmt.Sprintf("k%04d", i), fmt.Sprint(i), clientv3.LeaseID(i%2*5))
	}
	opts := etcdimport.Options{
		From: client, To: to, Limits: kv.DefaultLimits, Follow: true, Verify: true,
	}
	var writing sync.WaitGroup
	writing.Go(func() { writeToEtcd(t, client) })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := etcdimport.Import(ctx, opts); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	writing.Wait()
	put(t, client, "behind", "1", 0)
	resp, err := client.Delete(t.Context(), "k0000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), resp.Header.Revision); err != nil {
		t.Fatal(err)
	}
	opts.UntilIdle = time.Second
	sum, err := etcdimport.Import(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if !sum.Resumed || !sum.Finished || sum.Rounds != 1 {
		t.Errorf("%+v", sum)
	}
	compareWithEtcd(t, client, to)
}

// writeToEtcd makes transactions, deletes many keys at once, and has a lease end
// with its key.
func writeToEtcd(t *testing.T, client *clientv3.Client) {
	put(t, client, "session", "1", 6)
	for i := range 200 {
		key := fmt.Sprintf("k%04d", i)
		_, err := client.Txn(t.Context()).Then(
			clientv3.OpPut(key, "new"), clientv3.OpPut("last", key),
			clientv3.OpDelete(fmt.Sprintf("k%04d", 999-i)),
		).Commit()
		if err != nil {
			t.Error(err)
		}
	}
	deleted, err := client.Delete(t.Context(), "k02", clientv3.WithRange("k05"))
	if err != nil || deleted.Deleted != 300 {
		t.Errorf("%v: %v", deleted, err)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		resp, err := client.Get(t.Context(), "session")
		if err != nil || resp.Count == 0 {
			return
		}
	}
}

func grant(t *testing.T, client *clientv3.Client, id clientv3.LeaseID, ttl int64) {
	t.Helper()
	if _, err := clientv3.RetryLeaseClient(client).LeaseGrant(t.Context(),
		&pb.LeaseGrantRequest{ID: int64(id), TTL: ttl}); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, client *clientv3.Client, key, value string, lease clientv3.LeaseID) {
	t.Helper()
	if _, err := client.Put(t.Context(), key, value, clientv3.WithLease(lease)); err != nil {
		t.Error(err)
	}
}

func compareWithEtcd(t *testing.T, client *clientv3.Client, to kv.Store) {
	t.Helper()
	from, err := client.Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	there, err := to.Range(t.Context(), kv.RangeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, k := range from.Kvs {
		want = append(want, fmt.Sprintf("%s=%s %d", k.Key, k.Value, k.Lease))
	}
	for _, k := range there.KVs {
		got = append(got, fmt.Sprintf("%s=%s %d", k.Key, k.Value, k.Lease))
	}
	if len(want) < 400 || !slices.Equal(got, want) {
		t.Errorf("%d keys, etcd has %d", len(got), len(want))
	}
	if l, err := to.LeaseTimeToLive(t.Context(), 5, false); err != nil || l.Granted != 600 {
		t.Errorf("lease 5: %+v, %v", l, err)
	}
	awaitEnd(t, to, 6)
}

// awaitEnd waits for the end of a lease of two seconds. The import that was
// interrupted may have renewed it last, and the one after it knows it as a lease
// without keys, so it lives for all of its time.
func awaitEnd(t *testing.T, store kv.Store, id kv.LeaseID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		l, err := store.LeaseTimeToLive(ctx, id, true)
		switch {
		case errors.Is(err, kv.ErrLeaseNotFound):
			return
		case err != nil || len(l.Keys) != 0:
			t.Fatalf("lease %d: %+v, %v", id, l, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("lease %d lives: %+v", id, l)
		}
	}
}
