package kvfake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// TestExpiry: a lease goes by itself, and a blocked watch hears of it.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvfake.New()
		began := time.Now()
		grant(t, s, 1, 10)
		grant(t, s, 2, 20)
		put(t, s, "a", 2)
		put(t, s, "b", 1)
		put(t, s, "c", 1)
		stream := watchAll(t, s)
		got := next(t, stream)
		if len(got.Events) != 2 || string(got.Events[0].KV.Key) != "b" || got.Revision != 5 {
			t.Fatalf("the expiry is told as %+v", got)
		}
		if waited := time.Since(began); waited != 10*time.Second {
			t.Fatalf("a lease of 10 seconds went after %v", waited)
		}
		time.Sleep(9 * time.Second)
		left, err := s.LeaseTimeToLive(t.Context(), 2, true)
		if err != nil || left.TTL != 1 || left.Granted != 20 || string(left.Keys[0]) != "a" {
			t.Fatalf("after 19 of 20 seconds: %+v, %v", left, err)
		}
		if _, err := s.LeaseKeepAlive(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		next(t, stream)
		if waited := time.Since(began); waited != 39*time.Second {
			t.Fatalf("a lease of 20 seconds, renewed after 19, went after %v", waited)
		}
		stream.Close()
	})
}

// TestClock: a test's own clock, and not the world's, ends leases.
func TestClock(t *testing.T) {
	now := time.Unix(1, 0)
	s := kvfake.New(kvfake.WithClock(func() time.Time { return now }))
	grant(t, s, 1, 10)
	put(t, s, "a", 1)
	stream := watchAll(t, s)
	now = now.Add(9 * time.Second)
	if left, err := s.LeaseTimeToLive(t.Context(), 1, false); err != nil || left.TTL != 1 {
		t.Fatalf("%+v, %v", left, err)
	}
	now = now.Add(time.Second)
	s.Expire()
	if got := next(t, stream); len(got.Events) != 1 || !got.Events[0].Deleted {
		t.Fatalf("%+v", got)
	}
	if _, err := s.LeaseKeepAlive(t.Context(), 1); !errors.Is(err, kv.ErrLeaseNotFound) {
		t.Fatalf("a lease that expired can be renewed: %v", err)
	}
}

// TestStreamEnds with its context, and with Close, and Next wakes.
func TestStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvfake.New()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		byContext, err := s.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := byContext.Next(t.Context()); !errors.Is(err, kv.ErrStopped) {
			t.Fatalf("the context ended, Next says %v", err)
		}
		if _, err := byContext.Add(kv.WatchRequest{}); !errors.Is(err, kv.ErrStopped) {
			t.Fatalf("the stream ended, Add says %v", err)
		}
		closed := watchAll(t, s)
		time.AfterFunc(time.Second, closed.Close)
		if _, err := closed.Next(t.Context()); !errors.Is(err, kv.ErrStopped) {
			t.Fatalf("the stream was closed, Next says %v", err)
		}
	})
}

func grant(t *testing.T, s *kvfake.Store, id kv.LeaseID, ttl int64) {
	t.Helper()
	if _, err := s.LeaseGrant(t.Context(), kv.LeaseGrantRequest{ID: id, TTL: ttl}); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *kvfake.Store, key string, lease kv.LeaseID) {
	t.Helper()
	req := kv.PutRequest{Key: []byte(key), Lease: lease}
	if _, err := kv.Put(t.Context(), s, req); err != nil {
		t.Fatal(err)
	}
}

func watchAll(t *testing.T, s *kvfake.Store) kv.WatchStream {
	t.Helper()
	stream, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Add(kv.WatchRequest{}); err != nil {
		t.Fatal(err)
	}
	return stream
}

func next(t *testing.T, stream kv.WatchStream) kv.WatchResponse {
	t.Helper()
	got, err := stream.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}
