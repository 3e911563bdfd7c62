package etcdimport

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/miruvor/miruvor/internal/kv"
)

// source is what is imported.
type source struct {
	client *clientv3.Client
	keys   kv.Range
	*patience
}

// errSourceCompacted means that the source has forgotten a revision.
var errSourceCompacted = errors.New("the source has compacted what was to be read")

// standing is which cluster the source is, and its revision.
type standing struct {
	cluster  kv.ClusterID
	revision kv.Revision
}

// head asks once where the source is. Everything that was answered there before
// is at or below the revision.
func (s *source) head(ctx context.Context) (standing, error) {
	var at standing
	err := s.once(ctx, func(ctx context.Context) error {
		key, _ := bounds(s.keys)
		resp, err := s.client.Get(ctx, key, clientv3.WithCountOnly())
		if err == nil {
			at = standing{kv.ClusterID(resp.Header.ClusterId), kv.Revision(resp.Header.Revision)}
		}
		return err
	})
	return at, err
}

// count is how many keys there are at a revision.
func (s *source) count(ctx context.Context, at kv.Revision) (n int64, err error) {
	err = s.persist(ctx, "count the keys of the source", func(ctx context.Context) error {
		key, end := bounds(s.keys)
		resp, err := s.client.Get(ctx, key, clientv3.WithRange(end),
			clientv3.WithRev(int64(at)), clientv3.WithCountOnly())
		if err == nil {
			n = resp.Count
		}
		return err
	})
	return n, translate(err)
}

// scan reads the keys above after as of a revision, in order. A page is read
// ahead while the one before is worked on.
func (s *source) scan(
	ctx context.Context, at kv.Revision, after []byte,
) iter.Seq2[kv.KeyValue, error] {
	start := s.keys.Start
	if after != nil {
		start = append(slices.Clone(after), 0)
	}
	return func(yield func(kv.KeyValue, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		coming := make(chan page, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer close(coming)
			s.pages(ctx, at, start, coming)
		}()
		defer func() {
			cancel()
			<-done
		}()
		for p := range coming {
			if p.err != nil {
				yield(kv.KeyValue{}, p.err)
				return
			}
			for _, k := range p.kvs {
				if !isMark(k.Key) && !yield(keyValue(k), nil) {
					return
				}
			}
		}
	}
}

// page is a part of a scan, or why it ended.
type page struct {
	kvs []*mvccpb.KeyValue
	err error
}

// The bounds of a page in keys, and the bytes that it should come to.
const (
	pageKeysMin   = 16
	pageKeysFirst = 256
	pageKeysMax   = 8192
	pageBytesGoal = 2 << 20
)

// pages sends pages until the last, an error, or the end of ctx.
func (s *source) pages(ctx context.Context, at kv.Revision, start []byte, out chan<- page) {
	limit := int64(pageKeysFirst)
	for more := true; more; {
		var resp *clientv3.GetResponse
		err := s.persist(ctx, "read the source", func(ctx context.Context) (err error) {
			key, end := bounds(kv.Range{Start: start, End: s.keys.End})
			resp, err = s.client.Get(ctx, key, clientv3.WithRange(end),
				clientv3.WithRev(int64(at)), clientv3.WithLimit(limit))
			return err
		})
		p := page{err: translate(err)}
		more = false
		if err == nil {
			p.kvs, more = resp.Kvs, resp.More && len(resp.Kvs) > 0
		}
		select {
		case out <- p:
		case <-ctx.Done():
			return
		}
		if more {
			start = append(slices.Clone(p.kvs[len(p.kvs)-1].Key), 0)
			limit = nextLimit(p.kvs)
		}
	}
}

// nextLimit makes the next page about as large as it should be, if its keys are
// like those of the last.
func nextLimit(kvs []*mvccpb.KeyValue) int64 {
	bytes := 1
	for _, k := range kvs {
		bytes += len(k.Key) + len(k.Value)
	}
	return int64(min(max(pageBytesGoal*len(kvs)/bytes, pageKeysMin), pageKeysMax))
}

// leases lists all leases, and the revision that the answer came at.
func (s *source) leases(ctx context.Context) (ids []kv.LeaseID, at kv.Revision, err error) {
	err = s.once(ctx, func(ctx context.Context) error {
		resp, err := s.client.Leases(ctx)
		if err != nil {
			return err
		}
		at = kv.Revision(resp.ResponseHeader.Revision)
		for _, l := range resp.Leases {
			ids = append(ids, kv.LeaseID(l.ID))
		}
		return nil
	})
	return ids, at, err
}

// granted is the time to live of a lease in seconds, 0 if there is no such lease.
func (s *source) granted(ctx context.Context, id kv.LeaseID) (ttl int64, err error) {
	err = s.persist(ctx, fmt.Sprintf("lease %d of the source", id),
		func(ctx context.Context) error {
			resp, err := s.client.TimeToLive(ctx, clientv3.LeaseID(id))
			if err == nil {
				ttl = max(resp.GrantedTTL, 0)
			}
			return err
		})
	return ttl, err
}

// heldKeys tells whether a key to import hangs on a lease since at or before a
// revision.
func (s *source) heldKeys(ctx context.Context, id kv.LeaseID, at kv.Revision) (bool, error) {
	var keys [][]byte
	err := s.persist(ctx, fmt.Sprintf("keys of lease %d of the source", id),
		func(ctx context.Context) error {
			resp, err := s.client.TimeToLive(ctx, clientv3.LeaseID(id),
				clientv3.WithAttachedKeys())
			if err == nil {
				keys = resp.Keys
			}
			return err
		})
	for _, key := range keys {
		if err != nil {
			break
		}
		if !s.keys.Contains(key) {
			continue
		}
		var found int64
		err = s.persist(ctx, "read the source", func(ctx context.Context) error {
			resp, err := s.client.Get(ctx, string(key), clientv3.WithMaxModRev(int64(at)))
			if err == nil {
				found = int64(len(resp.Kvs))
			}
			return err
		})
		if found > 0 {
			return true, err
		}
	}
	return false, err
}

// translate makes the error about compaction the one of this package.
func translate(err error) error {
	if errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("%w: %w", errSourceCompacted, err)
	}
	return err
}

// bounds is r as etcd writes it down.
func bounds(r kv.Range) (key, end string) {
	key, end = string(r.Start), string(r.End)
	if key == "" {
		key = "\x00"
	}
	if r.End == nil {
		end = "\x00"
	}
	return key, end
}

func keyValue(k *mvccpb.KeyValue) kv.KeyValue {
	return kv.KeyValue{
		Key: k.Key, Value: k.Value, Lease: kv.LeaseID(k.Lease),
		ModRevision: kv.Revision(k.ModRevision),
	}
}
