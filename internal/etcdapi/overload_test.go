package etcdapi_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/etcdapi"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// slowStore does so many transactions a second, one after the other, and gives up what
// waits for longer than patience.
type slowStore struct {
	*kvfake.Store
	perSecond int
	patience  time.Duration

	mu   sync.Mutex
	free time.Time // when the next can begin
}

func (s *slowStore) Txn(ctx context.Context, req kv.TxnRequest) (kv.TxnResponse, error) {
	s.mu.Lock()
	now := time.Now()
	s.free = now.Add(max(0, s.free.Sub(now)) + time.Second/time.Duration(s.perSecond))
	wait := s.free.Sub(now)
	s.mu.Unlock()
	if wait > s.patience {
		pass(s.patience)
		return kv.TxnResponse{}, kv.ErrTimeout
	}
	pass(wait)
	return s.Store.Txn(ctx, req)
}

// pass lets time pass: that of a test's bubble.
func pass(d time.Duration) { <-time.After(d) }

// flood is what became of puts that came at some rate, whatever the answers.
type flood struct {
	client pb.KVClient
	asking sync.WaitGroup
	mu     sync.Mutex
	// served and refused are how long the answers took.
	served, refused []time.Duration
	failed          []error
}

// run begins so many puts a second for a while, and waits for all.
func (f *flood) run(ctx context.Context, perSecond int, length time.Duration) {
	f.served, f.refused, f.failed = nil, nil, nil
	const pause = 10 * time.Millisecond
	for range length / pause {
		for range perSecond * int(pause) / int(time.Second) {
			f.asking.Go(func() { f.put(ctx) })
		}
		pass(pause)
	}
	f.asking.Wait()
	slices.Sort(f.served)
	slices.Sort(f.refused)
}

func (f *flood) put(ctx context.Context) {
	began := time.Now()
	_, err := f.client.Put(ctx, &pb.PutRequest{Key: []byte("k"), Value: []byte("v")})
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch st := status.Convert(err); {
	case err == nil:
		f.served = append(f.served, took)
	case st.Code() == codes.ResourceExhausted &&
		st.Message() == "etcdserver: too many requests":
		f.refused = append(f.refused, took)
	default:
		f.failed = append(f.failed, err)
	}
}

// last is the highest of sorted times, 0 without one.
func last(sorted []time.Duration) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}

// keepRenewing renews lease 1 every 100 ms until ctx ends, and tells the longest wait
// for an answer.
func keepRenewing(ctx context.Context, t *testing.T, conn *grpc.ClientConn) time.Duration {
	stream := keepAlive(t, t.Context(), conn)
	longest := time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		renew(t, stream)
		longest = max(longest, time.Since(began))
		pass(100 * time.Millisecond)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	return longest
}

// TestOverload: ten times as many puts as the store does are not late, but served within
// about half a second, or refused at once; the store stays busy, renewals of leases go on
// beside them, and afterwards all is as before.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity = 3000
		seconds, times := 2, 10
		if testing.Short() {
			seconds, times = 1, 3
		}
		fake := &slowStore{
			Store: kvfake.New(), perSecond: capacity, patience: 5 * time.Second,
		}
		conn := serve(t, etcdapi.Options{Store: fake, Maintainer: fake.Store})
		f := &flood{client: pb.NewKVClient(conn)}
		grant := &pb.LeaseGrantRequest{ID: 1, TTL: 10}
		if _, err := pb.NewLeaseClient(conn).LeaseGrant(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		longest := make(chan time.Duration)
		go func() { longest <- keepRenewing(ctx, t, conn) }()

		f.run(t.Context(), capacity/2, time.Second/2)
		if len(f.refused)+len(f.failed) > 0 || last(f.served) > 10*time.Millisecond {
			t.Errorf("half the load: %d refused, %v; the last took %v",
				len(f.refused), f.failed, last(f.served))
		}
		f.run(t.Context(), times*capacity, time.Duration(seconds)*time.Second)
		if len(f.failed) > 0 {
			t.Errorf("%d failed: %v", len(f.failed), f.failed[0])
		}
		// A burst gets more, until it is known how long that takes.
		median := f.served[len(f.served)/2]
		if median > 1200*time.Millisecond || last(f.served) > 1500*time.Millisecond {
			t.Errorf("puts took %v, up to %v", median, last(f.served))
		}
		if last(f.refused) > time.Millisecond {
			t.Errorf("refusals took up to %v", last(f.refused))
		}
		if len(f.served) < seconds*capacity {
			t.Errorf("%d puts were served in %d s", len(f.served), seconds)
		}
		f.run(t.Context(), capacity/2, time.Second/2)
		if len(f.refused)+len(f.failed) > 0 || last(f.served) > 10*time.Millisecond {
			t.Errorf("afterwards: %d refused, %v; the last took %v",
				len(f.refused), f.failed, last(f.served))
		}
		stop()
		if took := <-longest; took > 10*time.Millisecond {
			t.Errorf("a renewal took %v", took)
		}
	})
}
