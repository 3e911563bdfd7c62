package etcdapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/miruvor/miruvor/internal/kv"
)

// Locks and elections are queues. Each who waits has a key below the queue's
// name, and who was first is served first:
//
//	name/694d8a0d3c1e1f0a  created at 7   holds the lock, or leads
//	name/694d8a0d3c1e1f12  created at 9   waits for the one created at 7
//	name/694d8a0d3c1e1f3c  created at 12  waits for the one created at 9
//
// The key ends in the lease that it hangs on, in hexadecimal: a client has one
// place in a queue, and leaves with its lease. It is the layout of clientv3's
// package concurrency, so that both wait for each other.

// queuePrefix begins the keys of a queue.
func queuePrefix(name []byte) []byte { return append(bytes.Clone(name), '/') }

// place is somebody's in a queue.
type place struct {
	key   []byte
	lease kv.LeaseID
	// since is the revision that created it.
	since kv.Revision
}

// queueLeaseSeconds is the life of the lease of a client that brought none.
const queueLeaseSeconds = 60

// leaseOf is the lease that a client brought, or for 0 a new one, which nobody
// keeps alive.
func (a *API) leaseOf(ctx context.Context, brought int64) (kv.LeaseID, error) {
	if brought != 0 {
		return kv.LeaseID(brought), nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	lease, err := a.store.LeaseGrant(ctx, kv.LeaseGrantRequest{TTL: queueLeaseSeconds})
	return lease.ID, err
}

// enqueue takes a place in a queue for a lease, with a value, or finds the one
// it has, which it leaves as it is.
func (a *API) enqueue(
	ctx context.Context, prefix []byte, lease kv.LeaseID, value []byte,
) (p place, found *kv.KeyValue, at kv.Revision, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	p = place{key: fmt.Appendf(bytes.Clone(prefix), "%x", int64(lease)), lease: lease}
	resp, err := a.store.Txn(ctx, kv.TxnRequest{
		Compares: []kv.Compare{{Key: p.key, Target: kv.CompareCreate, Relation: kv.Equal}},
		Success:  []kv.Op{{Put: &kv.PutRequest{Key: p.key, Value: value, Lease: lease}}},
		Failure:  []kv.Op{{Range: &kv.RangeRequest{Range: kv.PointRange(p.key)}}},
	})
	switch {
	case err != nil:
		return p, nil, 0, err
	case resp.Succeeded:
		p.since = resp.Revision
	default:
		found = &resp.Results[0].Range.KVs[0]
		p.since = found.CreateRevision
	}
	return p, found, resp.Revision, nil
}

// whileHeld does op if p is still there, and tells whether it was.
func (a *API) whileHeld(ctx context.Context, p place, op kv.Op) (kv.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.store.Txn(ctx, kv.TxnRequest{
		Compares: []kv.Compare{{
			Key: p.key, Target: kv.CompareCreate, Relation: kv.Equal, Number: int64(p.since),
		}},
		Success: []kv.Op{op},
	})
}

// leave gives a place up, whatever became of ctx.
func (a *API) leave(ctx context.Context, p place) (kv.TxnResponse, error) {
	return a.whileHeld(context.WithoutCancel(ctx), p,
		kv.Op{Delete: &kv.DeleteRequest{Range: kv.PointRange(p.key)}})
}

// waitTurn waits until nobody is before p in its queue. It returns whether it had
// to wait.
func (a *API) waitTurn(ctx context.Context, prefix []byte, p place) (waited bool, err error) {
	for {
		before, at, err := a.queueBefore(ctx, prefix, p.since)
		if err != nil || len(before) == 0 {
			return waited, err
		}
		waited = true
		// Only the last one before p concerns it, so that not all wake when
		// the first goes.
		last := before[0]
		for _, other := range before[1:] {
			if other.CreateRevision > last.CreateRevision {
				last = other
			}
		}
		if err := a.waitDelete(ctx, last.Key, at); err != nil {
			return waited, err
		}
	}
}

// queueBefore are those in a queue that came before a revision, at a revision.
func (a *API) queueBefore(
	ctx context.Context, prefix []byte, before kv.Revision,
) (first []kv.KeyValue, at kv.Revision, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	resp, err := a.read(ctx, &kv.RangeRequest{Range: kv.PrefixRange(prefix), KeysOnly: true})
	for _, other := range resp.KVs {
		if other.CreateRevision < before {
			first = append(first, other)
		}
	}
	return first, resp.Revision, err
}

// waitDelete waits until a key that was there at a revision is deleted. Once what
// happened since is compacted it returns too: the caller looks again.
func (a *API) waitDelete(ctx context.Context, key []byte, at kv.Revision) error {
	return a.follow(ctx, kv.WatchRequest{
		Range: kv.PointRange(key), From: at + 1, NoPut: true,
	}, func(resp kv.WatchResponse) (done bool, err error) { return len(resp.Events) > 0, nil })
}

// follow has each response with events seen until it is done, and ends the watch
// then. It returns as well once what it asks for is compacted.
func (a *API) follow(
	ctx context.Context, req kv.WatchRequest,
	see func(kv.WatchResponse) (done bool, err error),
) error {
	stream, err := a.store.Watch(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := stream.Add(req); err != nil {
		return err
	}
	for {
		resp, err := stream.Next(ctx)
		if err != nil {
			return patience(ctx, err)
		}
		if resp.Compacted != 0 {
			return nil
		}
		if len(resp.Events) == 0 {
			continue
		}
		if done, err := see(resp); done || err != nil {
			return err
		}
	}
}

// recipeFailure is err as etcd's locks and elections tell it: its text, but the
// code is lost.
func recipeFailure(err error) error {
	told := status.Convert(failure(err))
	switch told.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		return told.Err()
	}
	return status.Error(codes.Unknown, told.Message())
}

// patience is why waiting ended: for the cause of ctx's end, if that was it.
func patience(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, kv.ErrStopped) {
		return cause
	}
	return ctx.Err()
}
