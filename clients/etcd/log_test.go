package etcd

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/ordering"
)

// logKeys are spread over the shards of log/.
const logKeys = 10

// newLog writes to keys of several shards, which a watch follows. It is told
// each version of each key once, in the order of revisions, and of no progress
// that it has not made.
func newLog(ctx context.Context, t *testing.T, c *cluster) *task {
	client := newClient(t, c.endpoints...)
	prefix := empty(t, client, "log/")
	begun, err := client.Get(ctx, prefix)
	if err != nil {
		t.Fatal(err)
	}
	k := &task{}
	for i := range workers {
		writer := newClient(t, c.endpoints...)
		var n atomic.Int64
		k.workers = append(k.workers, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			key := fmt.Sprint(prefix, (n.Add(1)*workers+int64(i))%logKeys)
			_, err := writer.Put(ctx, key, fmt.Sprint(n.Load()))
			return err
		})
	}
	reader := &reader{t: t, client: newClient(t, c.endpoints...), versions: map[string]int64{}}
	k.followers = append(k.followers, func(ctx context.Context) {
		reader.follow(clientv3.WithRequireLeader(ctx), prefix, begun.Header.Revision+1)
	})
	k.check = func(ctx context.Context) { reader.catchUp(ctx, prefix) }
	return k
}

// reader is what a watch was told.
type reader struct {
	t        *testing.T
	client   *clientv3.Client
	versions map[string]int64
	// seen is the highest revision that the watch has told of, told the highest
	// of an event.
	seen, told int64
}

// follow watches until the context ends; clientv3 resumes the watch itself,
// except if there is no leader.
func (r *reader) follow(ctx context.Context, prefix string, from int64) {
	r.seen = from - 1
	for ctx.Err() == nil {
		for resp := range r.client.Watch(ctx, prefix, clientv3.WithPrefix(),
			clientv3.WithRev(r.seen+1), clientv3.WithProgressNotify()) {
			r.note(resp)
		}
	}
}

// catchUp watches on until it has heard of all that is there.
func (r *reader) catchUp(ctx context.Context, prefix string) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	resp, err := r.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		r.t.Error(err)
		return
	}
	events := r.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(r.seen+1),
		clientv3.WithProgressNotify())
	for r.seen < resp.Header.Revision {
		if err := r.client.RequestProgress(ctx); err != nil {
			r.t.Error(err)
			return
		}
		event, open := <-events
		if !open {
			r.t.Errorf("heard up to %d of %d", r.seen, resp.Header.Revision)
			return
		}
		r.note(event)
	}
	for _, kv := range resp.Kvs {
		if heard := r.versions[string(kv.Key)]; heard < kv.Version {
			r.t.Errorf("%s has version %d, heard of %d", kv.Key, kv.Version, heard)
		}
	}
}

// note checks what a watch is told next.
func (r *reader) note(resp clientv3.WatchResponse) {
	if resp.Err() != nil {
		return
	}
	for _, event := range resp.Events {
		key, kv := string(event.Kv.Key), event.Kv
		if kv.ModRevision <= r.seen && kv.ModRevision != r.told || kv.ModRevision < r.told {
			r.t.Errorf("event of revision %d after %d was told of", kv.ModRevision, r.seen)
		}
		if kv.Version != r.versions[key]+1 {
			r.t.Errorf("%s: version %d after %d", key, kv.Version, r.versions[key])
		}
		r.versions[key], r.told = kv.Version, kv.ModRevision
	}
	r.seen = max(r.seen, r.told)
	if resp.IsProgressNotify() {
		r.seen = max(r.seen, resp.Header.Revision)
	}
}

// newLease keeps one lease alive, whose key must stay, and lets others end,
// whose keys must go, but not before their time.
func newLease(ctx context.Context, t *testing.T, c *cluster) *task {
	client := newClient(t, c.endpoints...)
	prefix := empty(t, client, "lease/")
	kept, err := client.Grant(ctx, sessionSeconds/4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(ctx, prefix+"kept", "", clientv3.WithLease(kept.ID)); err != nil {
		t.Fatal(err)
	}
	k := &task{}
	k.followers = append(k.followers, func(ctx context.Context) {
		for ctx.Err() == nil {
			answers, err := client.KeepAlive(ctx, kept.ID)
			if err != nil {
				continue
			}
			for range answers {
			}
		}
	})
	k.workers = append(k.workers, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		resp, err := client.Get(ctx, prefix+"kept")
		if err == nil && len(resp.Kvs) == 0 {
			t.Error("the lease that is kept alive has ended")
		}
		pause(ctx, afterFailure)
		return err
	})
	var ended atomic.Int64
	k.followers = append(k.followers, func(ctx context.Context) {
		for ctx.Err() == nil && letEnd(ctx, t, client, prefix+"short") {
			ended.Add(1)
		}
	})
	k.check = func(ctx context.Context) {
		left, err := client.TimeToLive(ctx, kept.ID, clientv3.WithAttachedKeys())
		if err != nil || left.TTL <= 0 || len(left.Keys) != 1 {
			t.Errorf("the lease that is kept alive: %v, %v", left, err)
		}
	}
	return k
}

// letEnd grants a lease and waits until its key is gone.
func letEnd(ctx context.Context, t *testing.T, client *clientv3.Client, key string) bool {
	const seconds = 2
	begun := time.Now()
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lease, err := client.Grant(calling, seconds)
	if err != nil {
		pause(ctx, afterFailure)
		return true
	}
	put, err := client.Put(calling, key, "", clientv3.WithLease(lease.ID))
	if err != nil {
		return true
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	for resp := range client.Watch(watching, key, clientv3.WithRev(put.Header.Revision+1)) {
		for _, event := range resp.Events {
			if event.Type != clientv3.EventTypeDelete {
				continue
			}
			if lived := time.Since(begun); lived < seconds*time.Second {
				t.Errorf("a lease of %d s lived for %v", seconds, lived)
			}
			return true
		}
	}
	return ctx.Err() == nil
}

// newOrdering reads without asking the leader, from node to node. By clientv3's
// ordering no read is older than the one before.
func newOrdering(ctx context.Context, t *testing.T, c *cluster) *task {
	writer := newClient(t, c.endpoints...)
	key := empty(t, writer, "ordering/") + "key"
	if _, err := writer.Put(ctx, key, "0"); err != nil {
		t.Fatal(err)
	}
	n := 0
	write := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		n++
		_, err := writer.Put(ctx, key, strconv.Itoa(n))
		return err
	}
	client := newClient(t, c.endpoints...)
	// ErrNoGreaterRev would come after some reads that were too old in all.
	again := func(clientv3.Op, clientv3.OpResponse, int64) error { return nil }
	ordered := ordering.NewKV(client.KV, again)
	last := 0
	read := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		resp, err := ordered.Get(ctx, key, clientv3.WithSerializable())
		if err != nil || len(resp.Kvs) == 0 {
			return err
		}
		now, _ := strconv.Atoi(string(resp.Kvs[0].Value))
		if now < last {
			t.Errorf("read %d after %d", now, last)
		}
		last = now
		return nil
	}
	return &task{workers: []func(context.Context) error{write, read}}
}
