package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
)

// TestSync: a client that knows one node learns of all of them, and uses them.
func TestSync(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		client := newClient(t, c.endpoints[0])
		if err := client.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		got := client.Endpoints()
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.endpoints))
		if len(c.processes) > 0 && !slices.Equal(got, want) {
			t.Errorf("synchronized to %v instead of %v", got, want)
		}
		for range 2 * len(got) {
			if _, err := client.Get(ctx, "kv/sync"); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestErrors: a client recognizes the errors that programs ask for.
func TestErrors(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx, client := testContext(t), newClient(t, c.endpoints...)
		key := empty(t, client, "kv/errors/") + "key"
		put, err := client.Put(ctx, key, "")
		if err != nil {
			t.Fatal(err)
		}
		_, future := client.Get(ctx, key, clientv3.WithRev(put.Header.Revision+1000))
		_, noKey := client.Put(ctx, "", "")
		_, noLease := client.Put(ctx, key, "", clientv3.WithLease(12345))
		_, revoked := client.Revoke(ctx, 12345)
		_, kept := client.KeepAliveOnce(ctx, 12345)
		_, large := client.Put(ctx, key, strings.Repeat("x", 1700<<10))
		twice := []clientv3.Op{clientv3.OpPut(key, "1"), clientv3.OpPut(key, "2")}
		_, duplicate := client.Txn(ctx).Then(twice...).Commit()
		gets := slices.Repeat([]clientv3.Op{clientv3.OpGet(key)}, 129)
		_, many := client.Txn(ctx).Then(gets...).Commit()
		for _, e := range []struct{ got, want error }{
			{future, rpctypes.ErrFutureRev},
			{noKey, rpctypes.ErrEmptyKey},
			{noLease, rpctypes.ErrLeaseNotFound},
			{revoked, rpctypes.ErrLeaseNotFound},
			{kept, rpctypes.ErrLeaseNotFound},
			{large, rpctypes.ErrRequestTooLarge},
			{duplicate, rpctypes.ErrDuplicateKey},
			{many, rpctypes.ErrTooManyOps},
		} {
			if !errors.Is(e.got, e.want) {
				t.Errorf("%v instead of %v", e.got, e.want)
			}
		}
	})
}

// TestNested: a transaction in a transaction sees what is written before it.
func TestNested(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx, client := testContext(t), newClient(t, c.endpoints...)
		prefix := empty(t, client, "kv/")
		near, far := prefix+"1", prefix+"9"
		resp, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(near), "=", 0),
				clientv3.Compare(clientv3.Version(prefix), "=", 0).WithPrefix()).
			Then(clientv3.OpPut(near, "near"),
				clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Value(far), "=", "no")}, nil,
					[]clientv3.Op{clientv3.OpPut(far, "far"), clientv3.OpGet(near)})).
			Commit()
		if err != nil || !resp.Succeeded {
			t.Fatalf("%v, %v", resp, err)
		}
		inner := resp.Responses[1].GetResponseTxn()
		kvs := inner.Responses[1].GetResponseRange().Kvs
		if inner.Succeeded || len(kvs) != 1 || string(kvs[0].Value) != "near" {
			t.Errorf("inner: %v", inner)
		}
		both, err := client.Get(ctx, prefix, clientv3.WithPrefix())
		if err != nil || len(both.Kvs) != 2 || both.Kvs[0].ModRevision != both.Kvs[1].ModRevision {
			t.Errorf("%v, %v", both, err)
		}
	})
}

// TestIsolation: transactional memory of every kind reads and writes.
func TestIsolation(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		client := newClient(t, c.endpoints...)
		prefix := empty(t, client, "kv/stm/")
		for _, level := range []concurrency.Isolation{
			concurrency.SerializableSnapshot, concurrency.Serializable,
			concurrency.RepeatableReads, concurrency.ReadCommitted,
		} {
			key := fmt.Sprint(prefix, level)
			for want := range 3 {
				var got string
				_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
					got = stm.Get(key)
					stm.Put(key, got+"x")
					return nil
				}, concurrency.WithIsolation(level), concurrency.WithPrefetch(key))
				if err != nil || len(got) != want {
					t.Errorf("isolation %d: %q, %v", level, got, err)
				}
			}
		}
	})
}

// TestLeasing: who owns a key reads it from its cache; another's write gets
// through and is seen.
func TestLeasing(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx := testContext(t)
		prefix := empty(t, newClient(t, c.endpoints...), "kv/leasing/")
		open := func() clientv3.KV {
			kv, closing, err := leasing.NewKV(newClient(t, c.endpoints...), prefix+"owners/")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(closing)
			return kv
		}
		one, other := open(), open()
		for i := range 10 {
			key, want := fmt.Sprint(prefix, i%3), fmt.Sprint(i)
			if _, err := one.Put(ctx, key, want); err != nil {
				t.Fatal(err)
			}
			for _, kv := range []clientv3.KV{one, other, one} {
				resp, err := kv.Get(ctx, key)
				if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != want {
					t.Fatalf("%d: %v, %v", i, resp, err)
				}
			}
			one, other = other, one
		}
		resp, err := one.Txn(ctx).If(clientv3.Compare(clientv3.Value(prefix+"0"), "=", "9")).
			Then(clientv3.OpDelete(prefix + "0")).Commit()
		if err != nil || !resp.Succeeded {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

// TestMirror copies keys that are there and those that come.
func TestMirror(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx, client := testContext(t), newClient(t, c.endpoints...)
		prefix := empty(t, client, "kv/mirror/")
		const keys = 2500 // a mirror reads a thousand at a time
		for from := 0; from < keys; from += 100 {
			var puts []clientv3.Op
			for i := range 100 {
				puts = append(puts, clientv3.OpPut(fmt.Sprintf("%s%04d", prefix, from+i), "value"))
			}
			if _, err := client.Txn(ctx).Then(puts...).Commit(); err != nil {
				t.Fatal(err)
			}
		}
		syncer := mirror.NewSyncer(client, prefix, 0)
		base, failures := syncer.SyncBase(ctx)
		copied := 0
		for resp := range base {
			copied += len(resp.Kvs)
		}
		if err := <-failures; err != nil || copied != keys {
			t.Fatalf("copied %d of %d: %v", copied, keys, err)
		}
		if _, err := client.Delete(ctx, prefix+"0", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		for deleted := 0; deleted < 1000; {
			resp := <-syncer.SyncUpdates(ctx)
			if err := resp.Err(); err != nil || len(resp.Events) == 0 {
				t.Fatalf("after %d: %v", deleted, err)
			}
			deleted += len(resp.Events)
		}
	})
}

// TestNamespace: keys of a client under a prefix.
func TestNamespace(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx, client := testContext(t), newClient(t, c.endpoints...)
		prefix := empty(t, client, "kv/space/")
		kv := namespace.NewKV(client.KV, prefix)
		watcher := namespace.NewWatcher(client.Watcher, prefix)
		events := watcher.Watch(ctx, "", clientv3.WithFromKey(), clientv3.WithCreatedNotify())
		if created := <-events; !created.Created {
			t.Errorf("first came %+v", created)
		}
		if _, err := kv.Put(ctx, "key", "value"); err != nil {
			t.Fatal(err)
		}
		event := <-events
		if len(event.Events) != 1 || string(event.Events[0].Kv.Key) != "key" {
			t.Errorf("%+v", event)
		}
		resp, err := kv.Get(ctx, "", clientv3.WithFromKey())
		if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Key) != "key" {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

// TestWatchOptions: what a watch is asked to leave out or to add.
func TestWatchOptions(t *testing.T) {
	onEach(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithTimeout(testContext(t), 30*time.Second)
		defer cancel()
		client := newClient(t, c.endpoints...)
		prefix := empty(t, client, "kv/watch/")
		put, err := client.Put(ctx, prefix+"1", "a")
		if err != nil {
			t.Fatal(err)
		}
		from := clientv3.WithRev(put.Header.Revision)
		watch := func(options ...clientv3.OpOption) clientv3.WatchChan {
			return client.Watch(ctx, prefix, append(options, clientv3.WithPrefix(), from)...)
		}
		noPuts := watch(clientv3.WithFilterPut(), clientv3.WithPrevKV())
		noDeletes := watch(clientv3.WithFilterDelete())
		fragments := watch(clientv3.WithFragment())
		if _, err := client.Delete(ctx, prefix+"1"); err != nil {
			t.Fatal(err)
		}
		event := (<-noPuts).Events[0]
		if event.Type != clientv3.EventTypeDelete || string(event.PrevKv.Value) != "a" {
			t.Errorf("%+v", event)
		}
		if event := (<-noDeletes).Events[0]; !event.IsCreate() {
			t.Errorf("%+v", event)
		}
		for got := 0; got < 2; {
			got += len((<-fragments).Events)
		}
		stopped, stop := context.WithCancel(ctx)
		other := client.Watch(stopped, prefix)
		stop()
		for range other {
		}
	})
}
