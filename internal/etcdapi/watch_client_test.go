package etcdapi_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/grpcserver"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// host is a server on an address of its own, which is started and stopped.
type host struct {
	addr    string
	api     *etcdapi.API
	server  *grpcserver.Server
	serving sync.WaitGroup
}

func (h *host) start(t *testing.T, store *kvfake.Store) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.api = etcdapi.New(etcdapi.Options{Store: store, Maintainer: store})
	h.server = h.api.NewServer(etcdapi.ServerOptions{})
	h.serving.Go(func() {
		if err := h.server.Serve(listener); err != nil {
			t.Error(err)
		}
	})
}

func (h *host) stop() {
	h.server.Stop()
	h.serving.Wait()
}

// TestClientResumes: etcd's own client goes on at another server when the one
// it watches at ends, and misses nothing and hears nothing twice.
func TestClientResumes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	store := kvfake.New()
	var hosts [3]host
	var addrs []string
	for i := range hosts {
		hosts[i].start(t, store)
		addrs = append(addrs, hosts[i].addr)
	}
	defer hosts[2].stop()
	client, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: addrs, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	watches := []clientv3.WatchChan{
		client.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithCreatedNotify()),
		client.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithFragment()),
		client.Watch(clientv3.WithRequireLeader(ctx), "k", clientv3.WithFromKey(),
			clientv3.WithCreatedNotify(), clientv3.WithPrevKV()),
	}
	if resp := <-watches[0]; !resp.Created {
		t.Fatalf("told %v first", resp)
	}
	if resp := <-watches[2]; !resp.Created {
		t.Fatalf("told %v first", resp)
	}
	const changes = 30
	for i := range changes {
		switch i {
		case 10:
			hosts[0].stop()
		case 20:
			hosts[1].api.Drain()
			hosts[1].stop()
		}
		put := kv.PutRequest{Key: []byte("k"), Value: fmt.Append(nil, i)}
		if _, err := kv.Put(ctx, store, put); err != nil {
			t.Fatal(err)
		}
	}
	for i, w := range watches {
		for next := 0; next < changes; {
			resp := <-w
			if err := resp.Err(); err != nil || resp.Canceled {
				t.Fatalf("watch %d: %v", i, err)
			}
			for _, e := range resp.Events {
				if want := fmt.Sprint(next); string(e.Kv.Value) != want {
					t.Fatalf("watch %d was told of %s, want %s", i, e.Kv.Value, want)
				}
				next++
			}
		}
	}
	// Progress is told of all that this server's watches share.
	if err := client.RequestProgress(ctx); err != nil {
		t.Fatal(err)
	}
	for i, w := range watches[:2] {
		if resp := <-w; !resp.IsProgressNotify() || resp.Header.Revision != changes+1 {
			t.Errorf("watch %d: %v", i, resp)
		}
	}
}

// TestClientOfTheCompacted: etcd's own client is told where history begins.
func TestClientOfTheCompacted(t *testing.T) {
	store := kvfake.New()
	var h host
	h.start(t, store)
	defer h.stop()
	client, err := clientv3.New(clientv3.Config{
		Context: t.Context(), Endpoints: []string{h.addr}, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 5 {
		if _, err := client.Put(t.Context(), "k", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Compact(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	w := client.Watch(t.Context(), "k", clientv3.WithRev(3))
	if resp := <-w; resp.CompactRevision != 4 || resp.Err() == nil {
		t.Errorf("told %v", resp)
	}
	if resp, more := <-w; more {
		t.Errorf("told %v at the end", resp)
	}
}
