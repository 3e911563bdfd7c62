package etcdimport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/etcdimport"
	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// house is what etcd's API is served of.
type house interface {
	kv.Store
	kv.Maintainer
}

// elsewhere is a fake that is of another cluster than the rest.
type elsewhere struct{ *kvfake.Store }

// Standing implements kv.Maintainer.
func (e elsewhere) Standing() kv.Standing {
	return kv.Standing{Cluster: 7, Node: 1, Leader: 1, Term: 1}
}

// etcdOf is etcd's client of a store that is served as etcd is.
func etcdOf(t *testing.T, store house) *clientv3.Client {
	t.Helper()
	server := etcdapi.New(etcdapi.Options{Store: store, Maintainer: store}).
		NewServer(etcdapi.ServerOptions{})
	pipe := bufconn.Listen(1 << 20)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(pipe) }()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://127.0.0.1:1"}, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return pipe.DialContext(ctx)
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client
}

// remote is a store as a client over HTTP sees it.
func remote(t *testing.T, store kv.Store) kv.Store {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	server := &http.Server{Handler: httpapi.New(store, httpapi.Options{})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(pipe) }()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return pipe.DialContext(ctx)
		},
	}
	client, err := httpclient.New(httpclient.Options{
		Endpoints: []string{"127.0.0.1:1"}, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		<-ended
	})
	return client
}

// world is a source and a target.
type world struct {
	t      *testing.T
	from   *kvfake.Store
	to     *kvfake.Store
	client *clientv3.Client
	opts   etcdimport.Options
}

// inWorld runs a test in virtual time.
func inWorld(t *testing.T, test func(*world)) {
	if testing.Short() {
		// The race detector, which runs the short tests, crashes in Go's runtime (1.26.8)
		// below HTTP in virtual time.
		t.Skip("runs without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, from: kvfake.New(), to: kvfake.New()}
		w.client = etcdOf(t, elsewhere{w.from})
		w.opts = etcdimport.Options{
			From: w.client, To: remote(t, w.to), Limits: kv.DefaultLimits, Verify: true,
		}
		test(w)
	})
}

func (w *world) put(key, value string, lease kv.LeaseID) {
	w.t.Helper()
	_, err := kv.Put(w.t.Context(), w.from, kv.PutRequest{
		Key: []byte(key), Value: []byte(value), Lease: lease,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(keys kv.Range) {
	w.t.Helper()
	if _, err := kv.Delete(w.t.Context(), w.from, kv.DeleteRequest{Range: keys}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) grant(id kv.LeaseID, ttl int64) {
	w.t.Helper()
	_, err := w.from.LeaseGrant(w.t.Context(), kv.LeaseGrantRequest{ID: id, TTL: ttl})
	if err != nil {
		w.t.Fatal(err)
	}
}

// do imports, which has to succeed.
func (w *world) do() etcdimport.Summary {
	w.t.Helper()
	sum, err := etcdimport.Import(w.t.Context(), w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	if !sum.Finished {
		w.t.Error("it is not finished")
	}
	return sum
}

// refused imports, which has to fail so.
func (w *world) refused(want error) {
	w.t.Helper()
	if _, err := etcdimport.Import(w.t.Context(), w.opts); !errors.Is(err, want) {
		w.t.Errorf("got %v, want %v", err, want)
	}
}

func (w *world) hasLease(id kv.LeaseID, want bool) {
	w.t.Helper()
	_, err := w.to.LeaseTimeToLive(w.t.Context(), id, false)
	if (err == nil) != want || err != nil && !errors.Is(err, kv.ErrLeaseNotFound) {
		w.t.Errorf("lease %d is there, or not: %v", id, err)
	}
}

// contents are the keys of a store, with values and leases.
func contents(t *testing.T, store kv.Store, keys kv.Range) []string {
	t.Helper()
	resp, err := store.Range(t.Context(), kv.RangeRequest{Range: keys})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, k := range resp.KVs {
		list = append(list, fmt.Sprintf("%s=%s %d", k.Key, k.Value, k.Lease))
	}
	return list
}

// same compares all of both sides.
func (w *world) same() {
	w.t.Helper()
	from, to := contents(w.t, w.from, kv.Range{}), contents(w.t, w.to, kv.Range{})
	if !slices.Equal(from, to) {
		w.t.Errorf("%d keys, the target has %d; the source:\n%.600v\nthe target:\n%.600v",
			len(from), len(to), from, to)
	}
}

// TestCopy: everything is there, over several pages and windows.
func TestCopy(t *testing.T) {
	inWorld(t, func(w *world) {
		w.grant(5, 100)
		w.grant(6, 50) // nothing hangs on it
		const keys = 5000
		for i := range keys {
			w.put(fmt.Sprintf("k%05d", i), fmt.Sprint("v", i), kv.LeaseID(i%7/6*5))
		}
		sum := w.do()
		w.same()
		if sum.Keys != keys || sum.Puts != keys || sum.Verified != keys || sum.Leases != 2 ||
			sum.Resumed || sum.Rounds != 1 || sum.Source != 7 || sum.Position != keys+1 {
			w.t.Errorf("%+v", sum)
		}
		for id, ttl := range map[kv.LeaseID]int64{5: 100, 6: 50} {
			l, err := w.to.LeaseTimeToLive(w.t.Context(), id, false)
			if err != nil || l.Granted != ttl {
				w.t.Errorf("lease %d has %d seconds: %v", id, l.Granted, err)
			}
		}
	})
}

// TestPrefix: other keys stay what they are, and so do other leases.
func TestPrefix(t *testing.T) {
	inWorld(t, func(w *world) {
		w.grant(5, 100)
		w.grant(6, 100)
		w.put("a", "other", 6)
		w.put("p/1", "one", 5)
		w.put("p/2", "two", 0)
		w.put("q", "other", 0)
		if _, err := kv.Put(w.t.Context(), w.to, kv.PutRequest{
			Key: []byte("a"), Value: []byte("mine"),
		}); err != nil {
			w.t.Fatal(err)
		}
		w.opts.Prefix = []byte("p/")
		w.do()
		want := []string{"a=mine 0", "p/1=one 5", "p/2=two 0"}
		if got := contents(w.t, w.to, kv.Range{}); !slices.Equal(got, want) {
			w.t.Errorf("the target has %v, want %v", got, want)
		}
		w.hasLease(6, false) // nothing that was copied hangs on it
	})
}

// TestNotEmpty: what is there is not touched unless that is wanted.
func TestNotEmpty(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put("a", "new", 0)
		for _, key := range []string{"a", "b"} {
			put := kv.PutRequest{Key: []byte(key), Value: []byte("old")}
			if _, err := kv.Put(w.t.Context(), w.to, put); err != nil {
				w.t.Fatal(err)
			}
		}
		w.refused(etcdimport.ErrNotEmpty)
		if got := contents(w.t, w.to, kv.Range{}); len(got) != 2 || got[0] != "a=old 0" {
			w.t.Errorf("the target has %v", got)
		}
		w.opts.Overwrite = true
		w.do()
		w.same()
	})
}

// TestItself: a cluster is not imported into itself.
func TestItself(t *testing.T) {
	inWorld(t, func(w *world) {
		w.opts.From = etcdOf(w.t, w.to)
		w.refused(kv.ErrInvalid)
	})
}

// TestFollow: what happens while and after keys are copied arrives, until nothing
// happens any more.
func TestFollow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.grant(5, 10)
		w.put("early", "1", 5)
		w.put("gone", "1", 0)
		w.opts.Follow, w.opts.UntilIdle = true, 10*time.Second
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range 50 {
				<-time.After(100 * time.Millisecond)
				w.put(fmt.Sprint("late", i%20), fmt.Sprint(i), 0)
				if _, err := w.from.LeaseKeepAlive(w.t.Context(), 5); err != nil {
					w.t.Error(err)
				}
			}
			w.grant(6, 1000)
			w.put("session", "1", 6)
			w.delete(kv.PointRange([]byte("gone")))
			w.delete(kv.PrefixRange([]byte("late1")))
			// Lease 5 ends by itself, and takes its key along.
		})
		sum := w.do()
		writing.Wait()
		w.same()
		if sum.Rounds != 1 || sum.Position != sum.Head {
			w.t.Errorf("%+v", sum)
		}
		w.hasLease(5, false)
	})
}
